"""Copies of an image within a split and in several splits."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from data_cases import no_progress, write_images
from PIL import Image

from torchdeck.engine.config import DataConfig
from torchdeck.engine.data.datasets.sources import DataSources, open_sources
from torchdeck.engine.data.datasets.splits import ArrayDataset, Split
from torchdeck.engine.data.exploration.duplicates import find_duplicates
from torchdeck.engine.data.exploration.findings import DuplicateReport, describe_duplicates


def folder_with_copies(root: Path) -> DataSources:
    """In train: cat/copy = cat/0, dog/copy = cat/1, dog/again = cat/2 re-saved; in test: cat/leak = train/dog/2."""
    for split in ("train", "test"):
        for seed, name in enumerate(("cat", "dog")):
            write_images(root / split / name, 4, seed=seed + 10 * (split == "test"))
    train, test = root / "train", root / "test"
    shutil.copy(train / "cat/0.png", train / "cat/copy.png")
    shutil.copy(train / "cat/1.png", train / "dog/copy.png")
    shutil.copy(train / "dog/2.png", test / "cat/leak.png")
    Image.open(train / "cat/2.png").save(train / "dog/again.bmp")
    (train / "dog/torn.png").write_bytes(b"torn")
    return open_sources(DataConfig(dataset=str(root)), 0)


def compared(sources: DataSources, *, by_pixels: bool = False) -> DuplicateReport:
    return find_duplicates(sources, by_pixels=by_pixels, progress=no_progress)


def test_files_are_compared_by_their_bytes(tmp_path: Path) -> None:
    report = compared(folder_with_copies(tmp_path))
    assert report.compared == "file bytes"
    assert (report.groups, report.surplus, report.disagreeing) == (3, 2, 2)
    assert report.leaked == {"validation": 1} or report.leaked == {"test": 1}
    assert [split for split, _, _ in report.examples[0].members] in (["train", "train"], ["train", "test"])
    assert report.unreadable == 0
    words = "\n".join(describe_duplicates(report))
    assert "1 of 9 test samples (11.1%) are also in the training split" in words
    assert "2 images occur with different labels" in words
    assert "cat/copy.png" in [name for example in report.examples for name in example.names]


def test_decoded_pixels_find_what_was_saved_in_another_way(tmp_path: Path) -> None:
    report = compared(folder_with_copies(tmp_path), by_pixels=True)
    assert report.compared == "decoded pixels"
    assert report.groups == 4
    assert report.unreadable == 1
    assert all(example.pixels.shape == (10, 12, 3) for example in report.examples)


SIGNALS = """
import torch
from torch.utils.data import TensorDataset
def make(root):
    signals = torch.randn(20, 3, 50, generator=torch.Generator().manual_seed(0))
    signals[7] = signals[3]
    return TensorDataset(signals, torch.arange(20) % 2)
"""


def test_what_is_no_image_is_compared_by_its_values(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(SIGNALS, encoding="utf-8")
    report = compared(open_sources(DataConfig(dataset=f"{tmp_path}/own.py:make", validation=0.2), 0))
    assert (report.compared, report.groups, report.unreadable) == ("values", 1, 0)
    assert report.examples[0].pixels is None
    assert "20 samples compared by values" in "\n".join(describe_duplicates(report))


def test_arrays_are_compared_by_their_pixels() -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 5, 5), dtype=np.uint8)
    images[7] = images[3]
    labels = np.zeros(20, np.int64)
    labels[7] = 1
    train = Split(ArrayDataset(images, labels), None, labels, "train")
    test = Split(ArrayDataset(images[3:5], labels[3:5]), None, labels[3:5], "test")
    report = compared(DataSources(train, test, test, ["a", "b"], []))
    assert report.samples == {"train": 20, "test": 2}
    assert report.leaked == {"test": 2}
    assert report.disagreeing == 1
    assert report.examples[0].members == [("train", 3, 0), ("train", 7, 1), ("test", 0, 0)]


def test_pixels_of_another_shape_are_another_image() -> None:
    zeros = np.zeros((1, 2, 8), np.uint8), np.zeros((1, 4, 4), np.uint8)
    train, test = (
        Split(ArrayDataset(pixels, np.zeros(1, np.int64)), None, np.zeros(1, np.int64), name)
        for pixels, name in zip(zeros, ("train", "test"), strict=True)
    )
    report = compared(DataSources(train, test, test, ["a"], []))
    assert report.groups == 0
    assert describe_duplicates(report)[0] == "no duplicate images, within or across splits"


def test_a_comparison_can_be_stopped_where_it_reports_progress() -> None:
    images = np.zeros((2000, 1, 1), np.uint8)
    train = Split(ArrayDataset(images, np.zeros(2000, np.int64)), None, np.zeros(2000, np.int64), "train")
    seen: list[int] = []

    def stop(message: str, done: int, total: int) -> None:
        seen.append(done)
        if done >= 512:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_duplicates(DataSources(train, train, None, ["a"], []), by_pixels=False, progress=stop)
    assert seen == [0, 256, 512]


def test_copies_that_cant_be_decoded_have_no_picture(tmp_path: Path) -> None:
    sources = folder_with_copies(tmp_path)
    for name in ("cat/empty.png", "dog/empty.png"):
        (tmp_path / "train" / name).touch()
    report = compared(open_sources(DataConfig(dataset=str(tmp_path)), 0))
    assert report.groups == compared(sources).groups + 1
    assert [example.pixels is None for example in report.examples].count(True) == 1
