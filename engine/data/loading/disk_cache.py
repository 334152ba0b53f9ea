"""Decoded splits in files that are mapped into memory: decoded once, shared by all runs, larger than memory at need.

A file is an .npy array uint8 [N, C, H, W], so anything reads it. Its name ends in a hash of what it was made of: the
samples, the split, the transforms that were baked in and how photographs are turned; change any of these and another
file is made. The folder may be emptied whenever no run reads from it.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...config import Component
from ...errors import DataError
from ...files.durable import atomic_write
from ...files.free_disk import free_disk
from ...progress import Progress
from ..datasets.fingerprint import fingerprint_splits
from ..datasets.images.folder import FolderDataset
from ..datasets.samples import is_own
from ..datasets.splits import Split
from .storage import DecodedSplit, ImageStore

_FORMAT = 1
# Samples of a data set of the user's own that are compared with the file: its hash sees labels only.
_COMPARED = 8


def mapped_split(split: Split, baked: Sequence[Component], folder: Path, where: str, progress: Progress) -> ImageStore:
    """A split's decoded images, mapped from their file, which is made first where it isn't there.

    Args:
        split: split with targets.
        baked: transforms that draw nothing, done before.
        folder: where files lie; made where it isn't there.
        where: the config's key of the transforms, for messages.
        progress: called with what is done, samples done, samples in all; what it raises ends the work and leaves
            no file behind.

    Raises:
        DataError: a sample that can't be decoded, no space for the file, a folder that can't be written to.
    """
    decoded = DecodedSplit(split, tuple(baked), where)
    if split.targets is None:
        raise DataError(f"the {split.name} split has no targets to store with its images")
    shape = (len(split), *decoded.image(0).shape)
    path = cache_file(split, baked, folder)
    images = _mapped(path, shape)
    if images is None or not _holds(images, decoded):
        _write(path, shape, decoded, progress)
        images = _mapped(path, shape)
        if images is None:
            raise DataError(f"{path}: differs from what was just written to it; check the disk")
    return ImageStore(images, torch.from_numpy(np.array(split.targets)), is_mapped=True)


def cache_file(split: Split, baked: Sequence[Component], folder: Path) -> Path:
    """The file of a split's decoded images."""
    digest = hashlib.blake2b(f"{_FORMAT} {fingerprint_splits([split], [])}".encode(), digest_size=12)
    for spec in baked:
        digest.update(f"{spec.name} {sorted(spec.arguments.items())}\0".encode())
    if isinstance(split.dataset, FolderDataset):
        for _, state in split.dataset.states():
            digest.update(b"" if state is None else str(state.st_mtime_ns).encode())
    return folder / f"{split.name}-{len(split)}-{digest.hexdigest()}.npy"


def _mapped(path: Path, shape: tuple[int, ...]) -> Tensor | None:
    """The images in a file; None where there is none, or none of this shape."""
    try:
        # Copy-on-write: torch takes writable arrays only. Nothing is ever written.
        array: NDArray[np.uint8] = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError):
        return None
    return torch.from_numpy(array) if array.shape == shape and array.dtype == np.uint8 else None


def _holds(images: Tensor, decoded: DecodedSplit) -> bool:
    """Whether a file's images are still the data set's."""
    if is_own(decoded.split.dataset):
        return True
    positions = np.linspace(0, len(images) - 1, _COMPARED).astype(int).tolist()
    return all(torch.equal(decoded.image(position), images[position]) for position in positions)


def _write(path: Path, shape: tuple[int, ...], decoded: DecodedSplit, progress: Progress) -> None:
    size = int(np.prod(shape))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if free_disk(str(path.parent)) <= size:
            raise OSError(errno.ENOSPC, "No space left on device")
        atomic_write(path, _content(shape, decoded, progress))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = f"no space for the {size / 1e9:.2f} GB of" if full else f"{error.strerror or error}: can't write"
        raise DataError(
            f"{path.parent}: {what} the decoded {decoded.split.name} split; set data.cache to a folder on another "
            'disk, or data.storage = "loader"'
        ) from error


def _content(shape: tuple[int, ...], decoded: DecodedSplit, progress: Progress) -> Callable[[BinaryIO], None]:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}

    def write(file: BinaryIO) -> None:
        np.lib.format.write_array_header_1_0(file, header)
        for part in decoded.parts(progress):
            file.write(part.contiguous().numpy().data)

    return write
