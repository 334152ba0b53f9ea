"""Decoding a split once into one uint8 tensor, and the arithmetic of where it fits."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...config import Component
from ...errors import DataError
from ...files.free_disk import free_disk
from ...machine.free_memory import available_memory
from ...machine.thread_map import map_in_threads
from ...progress import Progress
from ...user_code import raise_user_error
from ..datasets.images.folder import FolderDataset
from ..datasets.samples import is_own, read_sample, require_same_target, sample_name
from ..datasets.splits import ArrayDataset, Split
from ..transforms.pipeline import SamplePipeline, to_tensor

DEVICE_SHARE = 0.4
MEMORY_SHARE = 0.5
DISK_SHARE = 0.5

_CHUNK = 1024
_PART = 64
_REPORT_EVERY = 16


@dataclass(frozen=True)
class ImageStore:
    """A decoded split.

    Attributes:
        images: uint8 [N, C, H, W], contiguous.
        targets: int64 [N] class indices, or float32 [N] or [N, K] values.
        is_mapped: whether the images lie in a file, of which the system keeps in memory what it can.
    """

    images: Tensor
    targets: Tensor
    is_mapped: bool = False

    def to(self, device: torch.device) -> ImageStore:
        """The same store with its pixels and targets on another device."""
        return ImageStore(self.images.to(device), self.targets.to(device))


@dataclass(frozen=True)
class Unavailable:
    """Why a split can't be held, or read, in some way: what stands in a note or an error after its name."""

    reason: str


@dataclass(frozen=True)
class Room:
    """Bytes that data may take: a share of what is free, so that the model and everything else find room.

    Attributes:
        device: on the accelerator; 0 on the CPU, where the memory is the device's.
        memory: bytes of the machine's memory.
        disk: where caches of decoded data are kept.
    """

    device: int
    memory: int
    disk: int = 0


def measure_room(device: torch.device, cache: str = "") -> Room:
    """What data may take now.

    40 % of the GPU's free memory, half of the machine's available memory, half of what is free on the disk where the
    folder `cache` is or would be.
    """
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else 0
    memory = int(available_memory() * MEMORY_SHARE)
    return Room(int(free * DEVICE_SHARE), memory, int(free_disk(cache) * DISK_SHARE) if cache else 0)


class DecodedSplit:
    """A split whose samples are uint8 images of a size that baked transforms may settle.

    Reads single samples and decodes all of them. Messages name the sample.
    """

    def __init__(self, split: Split, baked: tuple[Component, ...] = (), where: str = "data.train_transforms") -> None:
        self.split = split
        self._baked = baked
        self._bake = SamplePipeline(baked, where, scale=False) if baked else None

    def image(self, position: int) -> Tensor:
        """Sample number `position` of the split as a tensor [C, H, W], after the baked transforms."""
        image, target = read_image(self.split, position)
        require_same_target(self.split, position, target)
        return image if self._bake is None else self._bake.apply(image)

    def decode(self, progress: Progress) -> ImageStore:
        """Decode every sample into one tensor.

        Args:
            progress: called with what is done, samples done, samples in all.

        Raises:
            DataError: a sample that can't be decoded, or that has another size than the others.
        """
        if self.split.targets is None:
            raise DataError(f"the {self.split.name} split has no targets to store with its images")
        targets = torch.from_numpy(np.array(self.split.targets))
        images = torch.empty((len(self.split), *self.image(0).shape), dtype=torch.uint8)
        done = 0
        for part in self.parts(progress):
            images[done : done + len(part)] = part
            done += len(part)
        return ImageStore(images, targets)

    def parts(self, progress: Progress) -> Iterator[Tensor]:
        """Every sample in order, decoded: uint8 [n, C, H, W] at a time. Raises as `decode` does."""
        if isinstance(self.split.dataset, ArrayDataset):
            yield from self._array_parts(self.split.dataset)
            return
        message, total = f"decoding {self.split.name}", len(self.split)
        part: list[Tensor] = []
        first = self.image(0)
        with contextlib.closing(self._decoded()) as images:
            for position, image in enumerate(images):
                if image.shape != first.shape:
                    raise DataError(different_sizes(self.split, (0, first), (position, image)))
                part.append(image)
                if position % _REPORT_EVERY == 0:
                    progress(message, position, total)
                if len(part) == _PART:
                    yield torch.stack(part)
                    part = []
        if part:
            yield torch.stack(part)
        progress(message, total, total)

    def _array_parts(self, dataset: ArrayDataset) -> Iterator[Tensor]:
        indices = self.split.indices
        for start in range(0, len(self.split), _CHUNK):
            chosen = slice(start, start + _CHUNK) if indices is None else indices[start : start + _CHUNK]
            array = torch.from_numpy(np.array(dataset.images[chosen]))
            part = array[:, None] if array.ndim == 3 else array.movedim(-1, 1)
            yield part if self._bake is None else self._bake.apply(part)

    def _decoded(self) -> Generator[Tensor]:
        """All samples in order. Files are decoded in threads: Pillow lets go of the interpreter meanwhile."""
        positions = range(len(self.split))
        if not isinstance(self.split.dataset, FolderDataset):
            yield from map(self.image, positions)
            return
        yield from map_in_threads(self.image, positions, "decode")


def read_image(split: Split, position: int) -> tuple[Tensor, Any]:
    """One sample of a split of images as a tensor [C, H, W], and its target as the data set gives it.

    Raises:
        DataError: it can't be read; names its file or index.
        UserCodeError: the user's data set failed; names the index and the lines of the user's file.
    """
    image, target = read_sample(split, position)
    try:
        return to_tensor(image), target
    except Exception as error:
        if is_own(split.dataset):
            raise DataError(f"{sample_name(split, position)}: {type(error).__name__}: {error}") from error
        raise_user_error(error, sample_name(split, position))


def different_sizes(split: Split, one: tuple[int, Tensor], other: tuple[int, Tensor]) -> str:
    """The message for images that can't be stacked, with what to do about it."""
    names = [
        f"{sample_name(split, position)} is {'×'.join(map(str, image.shape))}" for position, image in (one, other)
    ]
    key = "data.train_transforms" if split.name == "train" else "data.eval_transforms"
    if one[1].shape[0] != other[1].shape[0]:
        advice = 'add { name = "RGB" } or { name = "Grayscale" }'
    else:
        advice = (
            'add { name = "Resize", size = [224, 224] }, or { name = "Resize", size = 256 } and '
            '{ name = "CenterCrop", size = 224 }'
        )
    return f"images differ in shape: {names[0]}, {names[1]}; {advice} to {key}"
