"""The published data sets that torchvision can fetch: MNIST, FashionMNIST, CIFAR10, CIFAR100."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...errors import ConfigError, DataError
from .idx_files import read_idx_split
from .places import DEBIAN, find_idx_folder, idx_folders
from .splits import ArrayDataset
from .unpacking import own_unpacking

Published = tuple[ArrayDataset, ArrayDataset, list[str], list[str]]


def open_published(name: str, root: Path, download: bool) -> Published:
    """Open a published data set below `root`, fetching it first where that was asked for.

    Returns:
        Training part, test part, class names, notes.

    Raises:
        ConfigError: it isn't there; says what to put where.
        DataError: it can't be fetched or read.
    """
    if name in ("CIFAR10", "CIFAR100"):
        return _open_cifar(name, root, download)
    return _open_mnist_like(name, root, download)


def _open_mnist_like(name: str, root: Path, download: bool) -> Published:
    from torchvision import datasets

    constructor = getattr(datasets, name)
    folders = idx_folders(name, root)
    raw, found = folders[0], find_idx_folder(folders)
    notes: list[str] = []
    debian = DEBIAN.get(name)
    if found is None and debian is not None:
        found = find_idx_folder([debian])
        if found is not None:
            notes.append(f"{name} is read from {debian} (Debian's package)")
    if found is None:
        if not download:
            raise ConfigError(
                f"{name} is not in {root}: `torchdeck download {name}` or data.download = true downloads it, or put "
                f"{{train,t10k}}-images-idx3-ubyte and {{train,t10k}}-labels-idx1-ubyte (or their .gz) into {raw}"
            )
        _fetch(lambda: constructor(root, download=True), name, root)
        found = raw
    train, train_notes = read_idx_split(found, "train", name)
    test, test_notes = read_idx_split(found, "t10k", name)
    # torchvision's names of MNIST's classes repeat themselves: "0 - zero".
    classes = [label.split(" - ")[0] for label in constructor.classes]
    return train, test, classes, notes + train_notes + test_notes


def _open_cifar(name: str, root: Path, download: bool) -> Published:
    from torchvision import datasets

    constructor = getattr(datasets, name)
    if download:
        _fetch(lambda: constructor(root, download=True), name, root)
    folder = root / constructor.base_folder
    if not folder.is_dir():
        raise ConfigError(
            f"{name} is not in {root}: `torchdeck download {name}` or data.download = true downloads it, or unpack "
            f"{constructor.url} into {root}, which creates {folder}"
        )
    try:
        parts = [constructor(root, train=train) for train in (True, False)]
    except RuntimeError as error:
        raise DataError(
            f"{folder}: a file is missing or differs from the published one (wrong MD5); remove the folder, "
            "then data.download = true downloads it again"
        ) from error
    train, test = (ArrayDataset(part.data, np.asarray(part.targets, dtype=np.int64)) for part in parts)
    return train, test, list(parts[0].classes), []


def _fetch(fetch: Any, name: str, root: Path) -> None:
    """Run torchvision's download. It raises RuntimeError, URLError, OSError; all mean the same to the user."""
    try:
        with own_unpacking():
            fetch()
    except Exception as error:
        raise DataError(f"{name}: can't be downloaded to {root}: {error}") from error
