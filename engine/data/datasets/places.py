"""Where published data sets lie on this machine, and how large their downloads are. Imports no torch and no numpy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ...user_path import user_path
from .catalog import DatasetEntry, list_datasets
from .torchvision.table import find_row

DEBIAN: Mapping[str, Path] = {"FashionMNIST": Path("/usr/share/datasets/fashion-mnist")}
"""Where Debian's packages put data sets."""

IDX_FILES = tuple(
    f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
)
"""The four files of MNIST and its successors, plain or with .gz."""


def download_bytes(name: str) -> int | None:
    """About how many bytes the download of a data set has; None if that shows only during the download."""
    row = find_row(name)
    return row.megabytes * 10**6 if row is not None and row.megabytes else None


def datasets_here(root: str) -> frozenset[str]:
    """Names of the catalog's data sets that lie on this machine, by the presence of one file or folder of each.

    Args:
        root: folder of the data sets, as `data.root`.
    """
    folder = user_path(root)
    return frozenset(entry.name for entry in list_datasets() if _is_here(entry, folder))


def idx_folders(name: str, root: Path) -> list[Path]:
    """Folders below `root` that may hold MNIST or one of its successors, in the order of trying."""
    return [root / name / "raw", root / name, root]


def find_idx_folder(folders: Iterable[Path]) -> Path | None:
    """The first folder that holds all four files of an MNIST-like data set, plain or with .gz; None without."""
    return next((folder for folder in folders if all(find_idx_file(folder, name) for name in IDX_FILES)), None)


def find_idx_file(folder: Path, name: str) -> Path | None:
    """A file of an MNIST-like data set, plain or with .gz; None where it isn't there."""
    return next((file for file in (folder / name, folder / f"{name}.gz") if file.is_file()), None)


def _is_here(entry: DatasetEntry, root: Path) -> bool:
    if entry.obtain == "embedded":
        return True
    row = find_row(entry.name)
    try:
        if entry.name in ("MNIST", "FashionMNIST"):
            debian = DEBIAN.get(entry.name)
            folders = [*idx_folders(entry.name, root), *([debian] if debian is not None else [])]
            return find_idx_folder(folders) is not None
        return row is not None and bool(row.place) and (root / row.place).exists()
    except OSError:
        # A folder that may not be entered has nothing that could be opened.
        return False
