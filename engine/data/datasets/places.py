"""Where published data sets lie on this machine, and how large their downloads are. Imports no torch and no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ...user_path import user_path
from .catalog import DatasetEntry, list_datasets

DEBIAN: Mapping[str, Path] = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
"""Where Debian's packages put data sets."""

IDX_FILES = tuple(
    f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
)
"""The four files of MNIST and its successors, plain or with .gz."""

# What torchvision looks for below `data.root`; a test holds it against the installed release.
PLACES: Mapping[str, str] = {
    "KMNIST": "KMNIST/raw",
    "QMNIST": "QMNIST/raw",
    "EMNIST": "EMNIST/raw",
    "USPS": "usps.bz2",
    "SEMEION": "semeion.data",
    "Omniglot": "omniglot-py/images_background",
    "SVHN": "train_32x32.mat",
    "CIFAR10": "cifar-10-batches-py",
    "CIFAR100": "cifar-100-python",
    "STL10": "stl10_binary",
    "Imagenette": "imagenette2",
    "EuroSAT": "eurosat/2750",
    "GTSRB": "gtsrb/GTSRB/Training",
    "Flowers102": "flowers-102/jpg",
    "Food101": "food-101/images",
    "DTD": "dtd/dtd/images",
    "OxfordIIITPet": "oxford-iiit-pet/images",
    "FGVCAircraft": "fgvc-aircraft-2013b/data/images",
    "Country211": "country211/train",
    "SUN397": "SUN397",
    "RenderedSST2": "rendered-sst2/train",
    "CLEVRClassification": "clevr/CLEVR_v1.0/images",
    "Places365": "data_256_standard",
    "INaturalist": "2021_train_mini",
    "PCAM": "pcam/camelyonpatch_level_2_split_train_x.h5",
    "CelebA": "celeba/img_align_celeba",
    "Caltech101": "caltech101/101_ObjectCategories",
    "Caltech256": "caltech256/256_ObjectCategories",
    "StanfordCars": "stanford_cars/cars_train",
    "LFWPeople": "lfw-py/lfw_funneled",
    "FER2013": "fer2013",
    "ImageNet": "train",
    "LSUN": "bedroom_train_lmdb",
}

# Megabytes of all archives that are fetched, rounded; those of unknown size are left out.
_DOWNLOADS: Mapping[str, int] = {
    "MNIST": 12,
    "FashionMNIST": 31,
    "KMNIST": 21,
    "QMNIST": 21,
    "EMNIST": 562,
    "USPS": 8,
    "SEMEION": 3,
    "Omniglot": 9,
    "SVHN": 246,
    "CIFAR10": 170,
    "CIFAR100": 169,
    "STL10": 2_640,
    "Imagenette": 1_560,
    "EuroSAT": 94,
    "GTSRB": 276,
    "Flowers102": 345,
    "Food101": 5_000,
    "DTD": 625,
    "OxfordIIITPet": 811,
    "FGVCAircraft": 2_750,
    "SUN397": 37_000,
    "CLEVRClassification": 18_000,
    "Places365": 25_000,
    "INaturalist": 50_000,
    "CelebA": 1_440,
    "Caltech101": 137,
    "Caltech256": 1_180,
}


def download_bytes(name: str) -> int | None:
    """About how many bytes the download of a data set has; None if that shows only during the download."""
    megabytes = _DOWNLOADS.get(name)
    return None if megabytes is None else megabytes * 10**6


def datasets_here(root: str) -> frozenset[str]:
    """Names of the catalog's data sets that lie on this machine, by the presence of one file or folder of each.

    Args:
        root: folder of the data sets, as `data.root`.
    """
    folder = user_path(root)
    return frozenset(entry.name for entry in list_datasets() if _is_here(entry, folder))


def _is_here(entry: DatasetEntry, root: Path) -> bool:
    if entry.obtain == "embedded":
        return True
    if entry.name in ("MNIST", "FashionMNIST"):
        folders = [root / entry.name / "raw", root / entry.name, root]
        return any(map(_has_idx_files, [*folders, *filter(None, [DEBIAN.get(entry.name)])]))
    place = PLACES.get(entry.name)
    try:
        return place is not None and (root / place).exists()
    except OSError:
        # A folder that may not be entered has nothing that could be opened.
        return False


def _has_idx_files(folder: Path) -> bool:
    try:
        names = {file.name.removesuffix(".gz") for file in folder.iterdir()}
    except OSError:
        return False
    return names.issuperset(IDX_FILES)
