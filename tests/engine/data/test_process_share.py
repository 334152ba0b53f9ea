"""One of several processes trains on its share of every epoch, dealt as torch's DistributedSampler deals it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from data_cases import open_and_build, run_config
from torch.utils.data import DistributedSampler

from torchdeck.engine.build import check
from torchdeck.engine.config import LoaderConfig, RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.data.loading.loaders import num_train_batches
from torchdeck.engine.data.loading.process_share import ProcessShare, process_share, with_process_share
from torchdeck.engine.data.loading.sampling import EpochOrder, EpochSampler
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.preflight.plan import plan_run
from torchdeck.engine.runs.reader import RunReader

TORCHRUN = {"WORLD_SIZE": "4", "RANK": "3"}
SLURM = {"SLURM_NTASKS": "8", "SLURM_PROCID": "5"}


def distributed(**options: Any) -> LoaderConfig:
    return LoaderConfig(sampler="distributed", **options)


def shares(kind: Any, count: int, world: int, *, drop_last: bool = False) -> list[EpochOrder]:
    samplers = [
        EpochSampler(kind, count, count, 5, share=ProcessShare(rank, world, drop_last)) for rank in range(world)
    ]
    orders = [sampler.order(3) for sampler in samplers]
    assert all(len(order.samples) == sampler.length for order, sampler in zip(orders, samplers, strict=True) if order)
    return [order for order in orders if order is not None]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(("count", "world"), [(24, 4), (23, 4), (3, 8), (7, 1)])
def test_samples_are_dealt_as_torch_deals_them(count: int, world: int, drop_last: bool) -> None:
    for rank, order in enumerate(shares("sequential", count, world, drop_last=drop_last)):
        # Given fewer samples than processes, torch drops the last by dealing a negative number of them.
        if not drop_last or count >= world:
            sampler = DistributedSampler(range(count), world, rank, shuffle=False, drop_last=drop_last)
            assert order.samples.tolist() == list(sampler)
        else:
            assert not len(order.samples)


@pytest.mark.parametrize(("count", "world"), [(24, 4), (23, 4), (3, 8), (7, 1)])
def test_the_processes_batches_together_are_those_of_one_process(count: int, world: int) -> None:
    whole = EpochSampler("shuffled", count, count, 5).order(3)
    assert whole is not None
    dealt = shares("shuffled", count, world)
    together = torch.stack([each.samples for each in dealt], dim=1).flatten()
    assert torch.equal(together[:count], whole.samples)
    draws = torch.stack([each.draws for each in dealt], dim=1).flatten()
    assert torch.equal(draws[:count], whole.draws)
    # What fills it up comes from the beginning, and is transformed anew.
    assert torch.equal(together[count:], whole.samples.repeat(world)[: len(together) - count])
    assert len(draws.unique()) == len(draws)


@pytest.mark.parametrize("storage", ["memory", "loader"])
def test_every_tier_makes_the_process_s_own_batches(storage: Any) -> None:
    def batches(**loader: Any) -> tuple[list[Any], int]:
        config = run_config(dataset="digits", validation=0.2, storage=storage, loader=loader, seed=2)
        sources, data = open_and_build(config)
        assert data.train.num_batches == num_train_batches(sources, config)
        return list(data.train.batches(1)), data.train.num_batches

    whole, _ = batches(batch_size=128)
    first, num_batches = batches(batch_size=64, sampler="distributed", num_replicas=2, rank=0)
    second, _ = batches(batch_size=64, sampler="distributed", num_replicas=2, rank=1)
    assert num_batches == len(whole) == 12
    for (inputs, targets), (evens, labels), (odds, _) in zip(whole, first, second, strict=True):
        assert torch.equal(inputs[::2], evens) and torch.equal(inputs[1::2], odds)
        assert torch.equal(targets[::2], labels)


@pytest.mark.parametrize(
    ("loader", "environment", "rank", "replicas", "source"),
    [
        (distributed(), TORCHRUN, 3, 4, "RANK and WORLD_SIZE"),
        (distributed(), SLURM, 5, 8, "SLURM_PROCID and SLURM_NTASKS"),
        (distributed(), {**TORCHRUN, **SLURM}, 3, 4, "RANK and WORLD_SIZE"),
        (distributed(num_replicas=6), TORCHRUN, 3, 6, "RANK and loader.num_replicas"),
        (distributed(num_replicas=2, rank=0), TORCHRUN, 0, 2, "loader.rank and loader.num_replicas"),
    ],
)
def test_rank_and_replicas_come_from_the_config_or_the_launcher(
    loader: LoaderConfig, environment: dict[str, str], rank: int, replicas: int, source: str
) -> None:
    assert process_share(loader, environment) == ProcessShare(rank, replicas, source=source)


def test_what_is_no_distributed_run_takes_no_notice_of_the_launcher() -> None:
    assert process_share(LoaderConfig(), TORCHRUN) is None


@pytest.mark.parametrize(
    ("loader", "environment", "message"),
    [
        (distributed(), {}, r"neither WORLD_SIZE \(torchrun\) nor SLURM_NTASKS \(srun\).*or set loader.num_replicas"),
        (distributed(num_replicas=2), {}, r"neither RANK .* nor SLURM_PROCID .*or set loader.rank"),
        (distributed(num_replicas=2), TORCHRUN, r"rank 3 \(from RANK\) of 2 processes \(from loader.num_replicas\)"),
        (distributed(rank=4), TORCHRUN, r"rank 4 \(from loader.rank\) of 4 processes \(from WORLD_SIZE\)"),
        (distributed(), {"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE is 'two', not a whole number"),
    ],
)
def test_contradictions_are_explained(loader: LoaderConfig, environment: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        process_share(loader, environment)


def digits(**loader: Any) -> RunConfig:
    return run_config(dataset="digits", validation=0.2, loader={"sampler": "distributed", **loader})


def test_the_plan_says_what_is_shared_and_what_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*TORCHRUN, *SLURM):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ConfigError, match="left to the launcher"):
        check(digits())
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    plan = plan_run(digits())
    assert plan.steps_per_epoch == 6
    assert "process 3 of 4 (from RANK and WORLD_SIZE), counted from 0, trains on 360 of 1,438" in plan.notes[0]
    assert "torchdeck does not average gradients" in plan.notes[0]


def test_a_run_records_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("RANK", "3")
    config = digits(batch_size=512)
    training = config.training.model_copy(update={"epochs": 1, "device": "cpu"})
    run = launch(config.model_copy(update={"training": training}), tmp_path)
    run.join()
    assert run.path is not None and run.error is None
    recorded = load_config(str(run.path / "run.toml")).loader
    assert (recorded.rank, recorded.num_replicas) == (3, 4)
    reader = RunReader(run.path)
    reader.poll()
    notes = [event["text"] for event in reader.events() if event["kind"] == "note"]
    assert any("(from RANK and WORLD_SIZE)" in note for note in notes)
    # What is recorded applies wherever the run resumes.
    monkeypatch.setenv("RANK", "0")
    assert with_process_share(load_config(str(run.path / "run.toml"))).loader.rank == 3
