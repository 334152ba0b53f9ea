"""MNIST's IDX format, plain or gzipped."""

from __future__ import annotations

import gzip
import hashlib
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError
from .places import find_idx_file
from .splits import ArrayDataset

IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"
_UNSIGNED_BYTE = 0x08

# SHA-256 of the files' decompressed content. Archives are no use for that: Debian's are compressed again.
_PUBLISHED = {
    "FashionMNIST": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }
}


def read_idx_split(folder: Path, part: str, name: str) -> tuple[ArrayDataset, list[str]]:
    """Read one part of an MNIST-like data set.

    Args:
        folder: holds the four files.
        part: "train" or "t10k".
        name: name of the data set, to compare the content with the published one if that is known.

    Returns:
        The images [N, H, W] with their targets, and what is to be said about them.

    Raises:
        DataError: a damaged file, or images and labels that don't belong together.
    """
    images, images_digest = _read(folder, f"{part}-{IMAGES}")
    labels, labels_digest = _read(folder, f"{part}-{LABELS}")
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            f"{folder}: {part}-{IMAGES} has shape {list(images.shape)} and {part}-{LABELS} {list(labels.shape)}; "
            "expected [N, H, W] images and [N] labels"
        )
    published = _PUBLISHED.get(name, {})
    notes = [
        f"{folder / file}: content differs from the published {name}"
        for file, digest in ((f"{part}-{IMAGES}", images_digest), (f"{part}-{LABELS}", labels_digest))
        if file in published and digest != published[file]
    ]
    return ArrayDataset(images, labels.astype(np.int64)), notes


def _read(folder: Path, stem: str) -> tuple[NDArray[np.uint8], str]:
    """One IDX array of bytes and the SHA-256 of its decompressed file."""
    path = find_idx_file(folder, stem)
    if path is None:
        raise DataError(f"{folder / stem}: no such file, with .gz or without")
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: can't be read: {error}") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != _UNSIGNED_BYTE:
        raise DataError(f"{path}: not an IDX file of bytes (it starts with {content[:4].hex() or 'nothing'})")
    dimensions = content[3]
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise DataError(f"{path}: truncated header; download it again")
    shape = tuple(int(size) for size in np.frombuffer(content[4:header], dtype=">u4"))
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise DataError(f"{path}: has {len(content):,} bytes, but its header says {expected:,}; download it again")
    array = np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
    return array, hashlib.sha256(content).hexdigest()
