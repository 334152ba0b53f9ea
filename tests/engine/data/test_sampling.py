"""Sampling of an epoch: each sampler's distribution, and that it is a function of seed and epoch."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_cases import component, open_and_build, run_config
from pydantic import ValidationError

from torchdeck.engine.config import LoaderConfig
from torchdeck.engine.data.datasets.splits import ArrayDataset, Split
from torchdeck.engine.data.loading.batching import Batching
from torchdeck.engine.data.loading.sampling import EpochSampler, sequential_sampler, train_sampler
from torchdeck.engine.data.loading.workers import WorkerLoader
from torchdeck.engine.data.transforms.pipeline import SamplePipeline
from torchdeck.engine.errors import ConfigError, DataError

# Three samples of class 0, one of class 2, the rest of class 5.
TARGETS = np.array([5] * 90 + [0] * 3 + [2] + [5] * 6)


def drawn(kind: Any, epoch: int = 0, length: int = 3000, seed: int = 0) -> torch.Tensor:
    order = EpochSampler(kind, 100, length, seed, TARGETS).order(epoch)
    assert order is not None
    return order.samples


def test_balanced_epochs_have_every_class_equally_often_and_every_sample_of_a_class() -> None:
    samples = drawn("balanced")
    classes = np.bincount(TARGETS[samples.numpy()], minlength=6)
    assert classes.sum() == 3000
    assert all(abs(classes[index] - 1000) < 4 * 26 for index in (0, 2, 5))
    counts = np.bincount(samples.numpy(), minlength=100)
    assert (counts[90:93] > 250).all() and counts[:90].min() >= 1


def test_replacement_draws_every_sample_equally_often() -> None:
    counts = np.bincount(drawn("replacement", length=100_000).numpy(), minlength=100)
    statistic = ((counts - 1000) ** 2 / 1000).sum()
    assert abs(statistic - 99) < 4 * (2 * 99) ** 0.5


@pytest.mark.parametrize("kind", ["balanced", "replacement", "shuffled"])
def test_an_order_follows_from_seed_and_epoch(kind: str) -> None:
    assert torch.equal(drawn(kind, 3), drawn(kind, 3))
    assert not torch.equal(drawn(kind, 3), drawn(kind, 4))
    assert not torch.equal(drawn(kind, 3), drawn(kind, 3, seed=1))


def test_a_sample_that_comes_again_has_other_random_numbers() -> None:
    order = EpochSampler("replacement", 5, 50, 0).order(0)
    assert order is not None
    assert len(order.draws.unique()) == 50
    assert torch.equal(order.draws % 5, order.samples)
    first = [order.samples.tolist().index(sample) for sample in range(5)]
    assert order.draws[first].tolist() == list(range(5))


@pytest.mark.parametrize("sampler", ["balanced", "replacement"])
@pytest.mark.parametrize(
    "transforms",
    [
        [component("RandomCrop", size=8, padding=2), component("RandomErasing")],
        [component("RandomPerspective", p=1.0)],
    ],
)
def test_both_tiers_go_on_anywhere_with_any_batch_size(sampler: str, transforms: list[Any]) -> None:
    def loader(batch_size: int) -> Any:
        config = run_config(
            dataset="digits",
            validation=0.2,
            train_transforms=transforms,
            loader={"sampler": sampler, "num_samples": 200, "batch_size": batch_size},
        )
        return open_and_build(config)[1].train

    small, large = loader(32), loader(200)
    assert (small.num_samples, small.num_batches, large.num_batches) == (200, 7, 1)
    through = list(small.batches(2))
    (inputs, targets) = next(iter(large.batches(2)))
    assert torch.equal(torch.cat([batch for batch, _ in through]), inputs)
    assert torch.equal(torch.cat([labels for _, labels in through]), targets)
    again = list(loader(32).batches(2, 5))
    assert torch.equal(again[0][0], through[5][0])


def test_the_sequential_sampler_wins_over_shuffle() -> None:
    config = run_config(dataset="digits", validation=0.2, loader={"sampler": "sequential"})
    sources, data = open_and_build(config)
    targets = torch.cat([labels for _, labels in data.train.batches(0)])
    assert np.array_equal(targets.numpy(), sources.train.targets)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampler": "balanced", "shuffle": False}, "shuffles, which shuffle = false forbids"),
        ({"num_samples": 10}, "num_samples = 10 needs a sampler that draws with replacement"),
        ({"num_samples": 10, "sampler": "shuffled"}, "needs a sampler that draws with replacement"),
        ({"timeout": 3.0}, "timeout needs worker processes: set num_workers above 0"),
        ({"worker_init": "mine.py:start"}, "worker_init needs worker processes"),
    ],
)
def test_options_that_contradict_each_other_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        LoaderConfig(**options)


def test_balancing_needs_labels() -> None:
    images = np.zeros((4, 2, 2), dtype=np.uint8)
    split = Split(ArrayDataset(images, np.zeros(4, dtype=np.int64)), None, None, "train")
    with pytest.raises(ConfigError, match="no list of targets to balance"):
        train_sampler(split, LoaderConfig(sampler="balanced"), 0)


# Has no batched form, so that it is the workers' business.
PER_SAMPLE = component("JPEG", quality=[40, 90])


def test_the_users_function_starts_every_worker(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(f"def start(worker):\n    open(f'{tmp_path}/started-{{worker}}', 'w').close()\n")
    options = {"num_workers": 2, "worker_init": f"{tmp_path}/mine.py:start", "persistent_workers": False}
    config = run_config(dataset="digits", validation=0.2, train_transforms=[PER_SAMPLE], loader=options)
    _, data = open_and_build(config)
    one_process = run_config(dataset="digits", validation=0.2, train_transforms=[PER_SAMPLE])
    expected = list(open_and_build(one_process)[1].train.batches(0))
    for (inputs, _), (others, _) in zip(data.train.batches(0), expected, strict=True):
        assert torch.equal(inputs, others)
    assert sorted(file.name for file in tmp_path.glob("started-*")) == ["started-0", "started-1"]


def test_a_function_for_workers_is_looked_up_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def start(worker):\n    pass\n")
    options = {"num_workers": 1, "worker_init": f"{tmp_path}/mine.py:strat"}
    with pytest.raises(ConfigError, match="start"):
        open_and_build(run_config(dataset="digits", validation=0.2, loader=options))


def test_a_worker_that_hangs_is_given_up_after_the_timeout(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import time\n\n\ndef slow():\n    return lambda image: time.sleep(600)\n")
    options = {"num_workers": 1, "timeout": 0.5}
    config = run_config(dataset="digits", validation=0.2, loader=options)
    sources, _ = open_and_build(config)
    loader = WorkerLoader(
        sources.train,
        SamplePipeline([component(f"{tmp_path}/mine.py:slow")]),
        Batching(sequential_sampler(sources.train), batch_size=4),
        seed=0,
        options=config.loader,
    )
    with pytest.raises(DataError, match=r"loader.timeout = 0.5: no batch arrived from a worker process"):
        next(iter(loader.batches(0)))


def test_workers_that_have_nothing_to_do_are_mentioned() -> None:
    data = open_and_build(run_config(dataset="digits", validation=0.2, loader={"num_workers": 2}))[1]
    assert data.notes == ["loader.num_workers = 2 has no effect: samples are decoded once and kept"]
