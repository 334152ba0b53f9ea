"""What is on this machine is found without opening anything."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from torchvision import datasets

from torchdeck.engine.data.datasets.catalog import find_dataset, list_datasets
from torchdeck.engine.data.datasets.places import DEBIAN, IDX_FILES, datasets_here, download_bytes
from torchdeck.engine.data.datasets.torchvision.table import ROWS

PLACES = {row.name: row.place for row in ROWS if row.place}


def test_every_data_set_that_can_be_missing_has_a_place() -> None:
    names = {entry.name for entry in list_datasets() if entry.source == "torchvision" and entry.obtain != "embedded"}
    assert names - PLACES.keys() == {"MNIST", "FashionMNIST"}
    assert PLACES.keys() <= names


# Their folders are made of the name of the class or of arguments.
MADE = {"DTD", "EMNIST", "ImageNet", "KMNIST", "LSUN", "Places365", "QMNIST"}


@pytest.mark.parametrize("name", sorted(PLACES.keys() - MADE))
def test_a_place_is_where_torchvision_looks(name: str) -> None:
    source = inspect.getsource(inspect.getmodule(getattr(datasets, name)))  # type: ignore[arg-type]
    assert PLACES[name].split("/")[0] in source


@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_data_set_is_here_once_its_place_exists(name: str, tmp_path: Path) -> None:
    assert name not in datasets_here(str(tmp_path))
    (tmp_path / PLACES[name]).mkdir(parents=True)
    assert name in datasets_here(str(tmp_path))


def test_mnist_is_here_if_all_of_its_files_are(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for number, file in enumerate(IDX_FILES):
        assert "MNIST" not in datasets_here(str(tmp_path))
        (raw / f"{file}{'.gz' * (number % 2)}").touch()
    assert "MNIST" in datasets_here(str(tmp_path))


def test_without_a_root_only_what_needs_none_is_here(tmp_path: Path) -> None:
    found = datasets_here(str(tmp_path / "none"))
    assert found - DEBIAN.keys() == {"digits", "FakeData"}


def test_the_size_of_a_download_is_known_for_what_can_be_downloaded() -> None:
    known = [entry.name for entry in list_datasets() if download_bytes(entry.name) is not None]
    assert len(known) > 20
    assert all(find_dataset(name).obtain == "download" for name in known)  # type: ignore[union-attr]
    assert download_bytes("CIFAR10") == 170_000_000
