"""Fingerprint of a data set, so that a resumed run notices changed data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .images.folder import FolderDataset
from .splits import ArrayDataset, LabeledDataset, SampleDataset, Split

# Checkpoints hold the hash, so these stay as they are whatever the classes are called.
_NAMES: dict[type, str] = {
    ArrayDataset: "ArrayDataset",
    FolderDataset: "FolderDataset",
    LabeledDataset: "LabelledDataset",
}


def fingerprint_splits(splits: Sequence[Split], classes: Sequence[str]) -> str:
    """A 32-digit hash of samples, labels, class names and how they are split.

    Arrays are hashed with every pixel, folders by their files' names and sizes, other data sets by what they are
    called and their labels: reading them might take hours.
    """
    digest = hashlib.blake2b(repr(list(classes)).encode(), digest_size=16)
    contents: dict[int, bytes] = {}
    for split in splits:
        key = id(split.dataset)
        if key not in contents:
            contents[key] = _content(split.dataset)
        digest.update(split.name.encode() + contents[key])
        for array in (split.indices, split.targets):
            digest.update(b"-" if array is None else hashlib.blake2b(_memory(array)).digest())
    return digest.hexdigest()


def _content(dataset: SampleDataset) -> bytes:
    digest = hashlib.blake2b(f"{_name(dataset)} {len(dataset)}".encode())
    if isinstance(dataset, ArrayDataset):
        digest.update(_memory(dataset.images))
        digest.update(_memory(dataset.targets))
    elif isinstance(dataset, FolderDataset):
        digest.update(dataset.mode.encode() + b"turned" * dataset.turns)
        for file, state in dataset.states():
            # A missing file has no size; reading it reports the problem.
            size = "" if state is None else state.st_size
            digest.update(f"{file}\0{size}\0".encode("utf-8", "surrogateescape"))
    return digest.digest()


def _name(dataset: SampleDataset) -> str:
    return _NAMES.get(type(dataset), type(dataset).__qualname__)


def _memory(array: NDArray[Any]) -> memoryview:
    return np.ascontiguousarray(array).data.cast("B")
