from pathlib import Path

import numpy as np
import pytest
import torch
from data_cases import component, needs_fashion_mnist, open_and_build, run_config, write_images

from torchdeck.engine.data.datasets.sources import open_sources
from torchdeck.engine.data.datasets.splits import ArrayDataset, Split
from torchdeck.engine.data.exploration.preview import preview
from torchdeck.engine.data.exploration.summary import channel_moments, summarize
from torchdeck.engine.errors import ConfigError


@needs_fashion_mnist
def test_fashion_mnist_in_numbers() -> None:
    sources = open_sources(run_config(dataset="FashionMNIST").data, 0)
    summary = summarize(sources.train, sources.classes)
    assert summary.counts == [6000] * 10
    assert summary.shape == (1, 28, 28)
    assert summary.mean == pytest.approx((0.28604,), abs=5e-6)
    assert summary.std == pytest.approx((0.35302,), abs=5e-6)
    assert summary.histogram is not None and summary.histogram.sum() == 60_000 * 784


def test_moments_equal_numpys() -> None:
    images = np.random.default_rng(0).integers(0, 200, (50, 9, 7, 3), dtype=np.uint8)
    summary = summarize(Split(ArrayDataset(images, np.zeros(50, np.int64)), None, None, "train"), ["a"])
    assert summary.mean == pytest.approx((images / 255).mean((0, 1, 2)), abs=1e-12)
    assert summary.std == pytest.approx((images / 255).std((0, 1, 2)), abs=1e-12)


def test_moments_of_billions_of_pixels_stay_exact() -> None:
    histogram = np.zeros((1, 256), np.int64)
    histogram[0, [100, 102]] = 10**13
    assert channel_moments(histogram) == ((101 / 255,), (1 / 255,))


def test_a_share_of_the_samples_is_read_on_demand() -> None:
    sources = open_sources(run_config(dataset="digits", validation=0.2).data, 0)
    summary = summarize(sources.train, sources.classes, limit=100)
    assert (summary.samples, summary.samples_read) == (1438, 100)
    assert sum(summary.counts) == 1438


def test_a_folder_of_mixed_sizes(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 3, size=(12, 10))
    write_images(tmp_path / "b", 5, size=(20, 31))
    sources = open_sources(run_config(dataset=str(tmp_path), validation=0.3).data, 0)
    summary = summarize(sources.train, sources.classes)
    assert (summary.shape, summary.smallest, summary.largest) == (None, (10, 12), (31, 20))
    assert summary.counts == [2, 3]


def test_a_summary_can_be_stopped(tmp_path: Path) -> None:
    write_images(tmp_path / "a", 200, size=(4, 4))
    sources = open_sources(run_config(dataset=str(tmp_path), validation=0.1).data, 0)
    assert summarize(sources.train, sources.classes, stop=lambda: True).samples_read == 64


def test_float_samples_are_measured_in_their_own_unit() -> None:
    dataset = [(torch.full((2, 4, 4), float(k)), 0) for k in range(3)]
    summary = summarize(Split(dataset, None, np.zeros(3, np.int64), "train"), ["a"])
    assert summary.mean == pytest.approx((1.0, 1.0))
    assert summary.std == pytest.approx(((2 / 3) ** 0.5,) * 2)
    assert summary.histogram is None


NORMALIZE = component("Normalize", mean=[0.3], std=[0.4])


@pytest.mark.parametrize(
    "transforms",
    [
        [component("RandomCrop", size=8, padding=2), component("RandomHorizontalFlip"), NORMALIZE],
        [component("RandomRotation", degrees=30), NORMALIZE],
        [],
    ],
)
@pytest.mark.parametrize("storage", ["auto", "loader"])
def test_a_preview_shows_what_the_model_gets(transforms: list, storage: str) -> None:
    config = run_config(
        seed=4,
        dataset="digits",
        validation=0.2,
        storage=storage,
        train_transforms=transforms,
        loader={"shuffle": False, "batch_size": 200},
    )
    sources, data = open_and_build(config)
    inputs, targets = next(iter(data.train.batches(6)))
    if transforms:
        inputs = inputs * 0.4 + 0.3
    expected = (inputs * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    shown = preview(sources, config.data, config.seed, 6, [150, 3, 77], train=True)
    assert [sample.index for sample in shown] == [150, 3, 77]
    for sample in shown:
        assert np.array_equal(sample.shown, expected[sample.index])
        assert sample.target == str(int(targets[sample.index]))
        assert sample.raw.shape == (8, 8, 1)


def test_a_preview_of_validation_samples() -> None:
    config = run_config(dataset="digits", validation=0.2, eval_transforms=[component("Resize", size=[16, 16])])
    sources = open_sources(config.data, 0)
    (sample,) = preview(sources, config.data, 0, 0, [5], train=False)
    assert sample.shown.shape == (16, 16, 1)
    assert sources.validation.targets is not None and sample.target == str(sources.validation.targets[5])
    assert preview(sources, config.data, 0, 0, [], train=False) == []


def test_a_preview_of_transforms_that_do_not_fit_says_so() -> None:
    config = run_config(
        dataset="digits", validation=0.2, train_transforms=[component("Normalize", mean=[0.5] * 3, std=[1.0] * 3)]
    )
    with pytest.raises(ConfigError, match="mean has 3 values"):
        preview(open_sources(config.data, 0), config.data, 0, 0, [0], train=True)
