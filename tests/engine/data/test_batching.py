from pathlib import Path
from typing import Any

import pytest
from data_cases import CPU, component, no_progress, open_and_build, run_config, write_images

from torchdeck.engine.config import RunConfig
from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.loading.batching import Batching, optimizer_steps, train_batching
from torchdeck.engine.data.loading.loaders import evaluation_loader, num_train_batches
from torchdeck.engine.data.loading.sampling import EpochSampler


@pytest.mark.parametrize(
    ("samples", "size", "drop_last", "batches"),
    [(10, 5, False, 2), (10, 5, True, 2), (11, 5, False, 3), (11, 5, True, 2), (4, 5, False, 1), (4, 5, True, 0)],
)
def test_an_epoch_has_its_full_batches_and_the_rest(samples: int, size: int, drop_last: bool, batches: int) -> None:
    assert Batching(EpochSampler("sequential", samples, samples, 0), size, drop_last).num_batches == batches


@pytest.mark.parametrize(("accumulate", "steps"), [(1, 7), (2, 4), (7, 1), (10, 1)])
def test_a_last_step_of_an_epoch_may_add_up_fewer_batches(accumulate: int, steps: int) -> None:
    assert optimizer_steps(7, RunConfig.model_validate({"training": {"accumulate": accumulate}})) == steps


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        {"storage": "memory"},
        {"storage": "encoded"},
        {"storage": "loader"},
        {"train_transforms": [component("Resize", size=[8, 8]), component("MixUp")]},
    ],
    ids=str,
)
def test_every_loader_gives_the_batches_that_were_counted(
    tmp_path: Path, data: dict[str, Any], drop_last: bool
) -> None:
    for name in ("cats", "dogs"):
        write_images(tmp_path / "images" / name, 12)
    config = run_config(
        dataset=str(tmp_path / "images"), validation=0.25, loader={"batch_size": 4, "drop_last": drop_last}, **data
    )
    config = config.model_copy(update={"loader": config.loader.model_copy(update={"eval_batch_size": 5})})
    sources, built = open_and_build(config)
    sizes = [len(targets) for _, targets in built.train.batches(0)]
    assert len(sizes) == built.train.num_batches == num_train_batches(sources, config) == (4 if drop_last else 5)
    assert built.train.num_samples == train_batching(sources.train, config).num_samples == 18
    measured = evaluation_loader(sources.validation, config, CPU, no_progress)
    assert [len(targets) for _, targets in measured.batches(0)] == [5, 1]


def test_tensors_that_are_kept_are_counted_too(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import torch\n\n\ndef numbers():\n    return torch.utils.data.TensorDataset(torch.rand(23, 3), "
        "torch.arange(23) % 2)\n"
    )
    config = run_config(dataset=f"{tmp_path}/own.py:numbers", validation=0.2, loader={"batch_size": 4})
    built = open_and_build(config)[1]
    assert "in memory" in built.storage
    assert len(list(built.train.batches(0))) == built.train.num_batches
    assert open_sources(config.data, 0).train.is_image is False
