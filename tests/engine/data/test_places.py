"""What is on this machine is found without opening anything."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from torchvision import datasets

from torchdeck.engine.data.datasets.catalog import list_datasets
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


# Lengths of archives in bytes, as servers and the checksum lists of other libraries state them, of those that
# torchvision downloads with its defaults.
LENGTHS = {
    "MNIST": (9_912_422, 28_881, 1_648_877, 4_542),
    "FashionMNIST": (26_421_880, 29_515, 4_422_102, 5_148),
    "KMNIST": (18_165_135, 29_497, 3_041_136, 5_120),
    "EMNIST": (561_753_746,),
    "Omniglot": (9_464_212,),
    "SVHN": (182_040_794, 64_275_384),
    "CIFAR10": (170_498_071,),
    "CIFAR100": (169_001_437,),
    "STL10": (2_640_397_119,),
    "Imagenette": (1_557_161_267,),
    "EuroSAT": (94_280_567,),
    "GTSRB": (187_490_228, 88_978_620),
    "Flowers102": (344_862_509, 502, 14_989),
    "Food101": (4_996_278_331,),
    "DTD": (625_239_812,),
    "OxfordIIITPet": (791_918_971, 19_173_078),
    "FGVCAircraft": (2_753_340_328,),
    "Country211": (11_000_000_000,),
    "SUN397": (39_077_296_924,),
    "RenderedSST2": (131_000_000,),
    "CLEVRClassification": (19_021_600_724,),
    "Places365": (26_103_685_120, 525_158_400, 67_498_496),
    "INaturalist": (44_636_137_542, 8_931_661_582),
    "CelebA": (1_443_490_838, 26_721_026, 3_424_458, 6_082_035, 12_156_055, 2_836_386),
    "Caltech101": (137_400_000,),
    "Caltech256": (1_183_006_720,),
}


def test_a_download_has_the_size_of_its_archives_and_an_unknown_one_where_nobody_states_it() -> None:
    names = [entry.name for entry in list_datasets() if entry.obtain == "download"]
    assert {name for name in names if download_bytes(name) is None} == {"QMNIST", "USPS", "SEMEION", "PCAM"}
    for name, lengths in LENGTHS.items():
        assert download_bytes(name) == pytest.approx(sum(lengths), abs=1e6), name
    assert all(download_bytes(entry.name) is None for entry in list_datasets() if entry.obtain != "download")
