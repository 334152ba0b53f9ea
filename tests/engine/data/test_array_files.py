from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_cases import open_and_build, run_config

from torchdeck.engine.data.datasets.sources import DataSources, open_sources
from torchdeck.engine.data.datasets.splits import ArrayDataset
from torchdeck.engine.errors import ConfigError, DataError

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)
LABELS = np.arange(30) % 3


def opened(path: Path, validation: Any = 0.2) -> DataSources:
    return open_sources(run_config(dataset=str(path), validation=validation).data, 0)


def images_of(sources: DataSources) -> np.ndarray:
    assert isinstance(sources.train.dataset, ArrayDataset)
    return sources.train.dataset.images


def test_images_and_labels_of_one_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", images=IMAGES, labels=LABELS)
    sources = opened(tmp_path / "mine.npz")
    assert (len(sources.train), len(sources.validation), sources.classes) == (24, 6, ["0", "1", "2"])
    assert np.array_equal(images_of(sources), IMAGES)
    config = run_config(dataset=str(tmp_path / "mine.npz"), validation=0.2)
    assert open_and_build(config)[1].input_shape == (3, 6, 5)


@pytest.mark.parametrize(
    "names",
    [
        ("train_images", "train_labels", "val_images", "val_labels", "test_images", "test_labels"),
        ("x_train", "y_train", "x_val", "y_val", "x_test", "y_test"),
    ],
)
def test_parts_of_their_own(names: tuple[str, ...], tmp_path: Path) -> None:
    arrays = [IMAGES, LABELS[:, None], IMAGES[:9], LABELS[:9], IMAGES[:6], LABELS[:6]]
    np.savez_compressed(tmp_path / "mine.npz", **dict(zip(names, arrays, strict=True)))
    sources = opened(tmp_path / "mine.npz", "test")
    assert sources.test is not None
    assert [len(split) for split in (sources.train, sources.validation, sources.test)] == [30, 9, 6]


def test_a_folder_of_arrays_stays_on_disk(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    np.save(tmp_path / "labels.npy", LABELS)
    images = images_of(opened(tmp_path))
    assert isinstance(images, np.memmap)
    assert np.array_equal(images, IMAGES)


@pytest.mark.parametrize(
    ("images", "shape"),
    [
        (IMAGES[..., 0], (30, 6, 5)),
        (IMAGES[..., :1], (30, 6, 5, 1)),
        (IMAGES.transpose(0, 3, 1, 2), (30, 6, 5, 3)),
    ],
)
def test_layouts(images: np.ndarray, shape: tuple[int, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", images=images, labels=LABELS)
    assert images_of(opened(tmp_path / "mine.npz")).shape == shape


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pixels": IMAGES}, "has pixels; expected images and labels"),
        ({"images": IMAGES}, "has images but no labels"),
        ({"images": IMAGES / 255, "labels": LABELS}, "images is float64; expected uint8 pixels from 0 to 255"),
        ({"images": IMAGES[0, 0], "labels": LABELS}, r"images is \[5, 3\]; expected \[N, H, W\]"),
        ({"images": IMAGES, "labels": LABELS[:-1]}, "images has 30 samples and labels has 29"),
        (
            {"images": IMAGES, "labels": LABELS.astype("S")},
            r"labels is \|S\d+ \[30\]; expected class indices, integers",
        ),
        ({"images": IMAGES, "labels": LABELS - 1}, "sample 0 has class index -1"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, "the data set has no samples"),
        ({"images": np.array([object()]), "labels": LABELS}, "images can't be read: Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", **arrays)
    with pytest.raises(DataError, match=message):
        opened(tmp_path / "mine.npz")


@pytest.mark.filterwarnings("error")
def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", images=IMAGES, labels=LABELS)
    whole = (tmp_path / "mine.npz").read_bytes()
    for damaged in (b"", b"no archive", whole[: len(whole) // 2], whole[:200] + bytes(200) + whole[400:]):
        (tmp_path / "mine.npz").write_bytes(damaged)
        with pytest.raises(DataError, match=r"mine\.npz"):
            opened(tmp_path / "mine.npz")


def test_a_single_array_under_the_name_of_an_archive_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "mine.npz").open("wb") as file:
        np.save(file, IMAGES)
    with pytest.raises(DataError, match=r"mine\.npz: can't be opened as \.npz: the file is a single array"):
        opened(tmp_path / "mine.npz")


def test_a_lone_array_says_where_labels_go(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", IMAGES)
    with pytest.raises(ConfigError, match=r"one .npy file has no labels; name its folder"):
        opened(tmp_path / "images.npy")
