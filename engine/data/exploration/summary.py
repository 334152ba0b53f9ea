"""Statistics of a split: counts, sizes, exact means and standard deviations."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DataError, TorchdeckError
from ...machine.thread_map import map_in_threads
from ...progress import Progress
from ..datasets.images.folder import FolderDataset
from ..datasets.samples import sample_name
from ..datasets.splits import ArrayDataset, Split
from ..datasets.targets import kind_of
from ..loading.storage import read_image

_CHUNK = 4096


@dataclass(frozen=True)
class DataSummary:
    """A split in numbers.

    Attributes:
        samples: how many there are.
        counts: samples of each class, in the order of the classes; empty where targets are not classes.
        classes: names by class index.
        shape: (C, H, W) where all looked-at images have one; None where they differ.
        smallest, largest: (H, W) of the image with the fewest and with the most pixels.
        mean, std: of each channel over every pixel looked at, in units of [0, 1] for uint8 pixels and in their own for
            float pixels; the population's standard deviation.
        histogram: int64 [C, 256], how often each value of uint8 pixels occurs; None for float pixels.
        samples_read: samples whose pixels were looked at.
    """

    samples: int
    counts: list[int]
    classes: list[str]
    shape: tuple[int, int, int] | None
    smallest: tuple[int, int]
    largest: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    histogram: NDArray[np.int64] | None
    samples_read: int


def summarize(
    split: Split,
    classes: Sequence[str],
    *,
    limit: int | None = None,
    progress: Progress = lambda message, done, total: None,
    stop: Callable[[], bool] = lambda: False,
    unreadable: dict[str, str] | None = None,
) -> DataSummary:
    """Count a split's classes and measure its pixels.

    Mean and standard deviation of uint8 pixels come from an integer histogram, so they are exact for what was read.

    Args:
        split: split to summarize.
        classes: names by class index.
        limit: look at the pixels of this many samples, chosen alike every time from all over the split; None for all.
        progress: called with what is done, samples done, samples in all.
        stop: asked now and then; when it says True the summary is of what was read so far.
        unreadable: takes the name of each sample that can't be read, and why; it is left out. None to raise.

    Raises:
        DataError: a sample that can't be read, images of different numbers of channels, a split without samples.
    """
    if not len(split):
        raise DataError(f"the {split.name} split has no samples")
    total = len(split)
    # In no order of theirs: what is read when it is stopped early stands for all of them.
    positions = np.arange(total) if limit is None or limit >= total else _anywhere(total, limit)
    pixels = _Pixels()
    if isinstance(split.dataset, ArrayDataset):
        _read_array(pixels, split, split.dataset, positions)
    else:
        chosen = positions.tolist()
        for done, (position, image) in enumerate(zip(chosen, _images(split, chosen), strict=True)):
            if done % 64 == 0:
                progress(f"measuring {split.name}", done, len(positions))
                if done and stop():
                    break
            if isinstance(image, Tensor):
                pixels.add(image[None])
            elif unreadable is None:
                raise image
            else:
                name = sample_name(split, position)
                unreadable[name] = str(image).partition("\n")[0].removeprefix(f"{name}: ")
        if pixels.is_empty:
            raise DataError(f"none of the {len(positions):,} samples that were tried can be read")
    return pixels.summary(total, class_counts(split, classes), list(classes))


def class_counts(split: Split, classes: Sequence[str]) -> list[int]:
    """Samples of each class, in the order of the classes; empty where targets are not classes."""
    if split.targets is None or kind_of(split.targets) != "classes":
        return []
    return np.bincount(split.targets, minlength=len(classes)).tolist()


def _anywhere(total: int, count: int) -> NDArray[np.int64]:
    return np.random.Generator(np.random.PCG64(total)).choice(total, count, replace=False)


def _images(split: Split, positions: list[int]) -> Generator[Tensor | TorchdeckError]:
    """Every sample, or what is wrong with it. Files are decoded in threads."""

    def read(position: int) -> Tensor | TorchdeckError:
        try:
            return read_image(split, position)[0]
        except TorchdeckError as error:
            return error

    if not isinstance(split.dataset, FolderDataset):
        yield from map(read, positions)
        return
    yield from map_in_threads(read, positions, "measure")


def _read_array(pixels: _Pixels, split: Split, dataset: ArrayDataset, positions: NDArray[np.int64]) -> None:
    indices = positions if split.indices is None else split.indices[positions]
    for start in range(0, len(indices), _CHUNK):
        array = torch.from_numpy(dataset.images[indices[start : start + _CHUNK]])
        pixels.add(array[:, None] if array.ndim == 3 else array.movedim(-1, 1))


class _Pixels:
    """Sizes and pixel statistics, grown image by image. uint8 pixels are counted; float pixels are summed up."""

    def __init__(self) -> None:
        self._histogram: Tensor | None = None
        self._sums: Tensor | None = None
        self._pixels = 0
        self._shapes: set[tuple[int, int, int]] = set()
        self._samples = 0

    @property
    def is_empty(self) -> bool:
        return self._samples == 0

    def add(self, images: Tensor) -> None:
        """Take in images [N, C, H, W]. Raises DataError when channels or number formats are mixed."""
        samples, channels, height, width = images.shape
        if self._samples == 0:
            self._begin(images)
        known = self._histogram if self._histogram is not None else self._sums
        assert known is not None
        if channels != len(known) or (images.dtype == torch.uint8) != (self._histogram is not None):
            raise DataError(
                f"images differ: {len(known)} channels before, then {channels} of "
                f"{str(images.dtype).removeprefix('torch.')}"
            )
        by_channel = images.movedim(1, 0).reshape(channels, -1)
        if self._histogram is not None:
            for counts, values in zip(self._histogram, by_channel, strict=True):
                counts += torch.bincount(values, minlength=256)
        elif self._sums is not None:
            values = by_channel.double()
            self._sums += torch.stack([values.sum(dim=1), values.square().sum(dim=1)], dim=1)
        self._pixels += by_channel.shape[1]
        self._shapes.add((channels, height, width))
        self._samples += samples

    def _begin(self, images: Tensor) -> None:
        channels = images.shape[1]
        if images.dtype == torch.uint8:
            self._histogram = torch.zeros(channels, 256, dtype=torch.int64)
        else:
            self._sums = torch.zeros(channels, 2, dtype=torch.float64)

    def summary(self, samples: int, counts: list[int], classes: list[str]) -> DataSummary:
        """Everything added so far, in numbers."""
        if self._histogram is not None:
            histogram = self._histogram.numpy()
            mean, std = channel_moments(histogram)
        else:
            assert self._sums is not None
            histogram = None
            first, second = (self._sums / self._pixels).unbind(dim=1)
            mean = tuple(first.tolist())
            std = tuple((second - first.square()).clamp(min=0).sqrt().tolist())
        sizes = sorted(((height, width) for _, height, width in self._shapes), key=lambda size: size[0] * size[1])
        return DataSummary(
            samples=samples,
            counts=counts,
            classes=classes,
            shape=next(iter(self._shapes)) if len(self._shapes) == 1 else None,
            smallest=sizes[0],
            largest=sizes[-1],
            mean=mean,
            std=std,
            histogram=histogram,
            samples_read=self._samples,
        )


def channel_moments(histogram: NDArray[np.int64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and population standard deviation of each channel, in units of [0, 1], from pixel counts [C, 256]."""
    means, deviations = [], []
    for counts in histogram:
        weights = [int(count) for count in counts]
        pixels = sum(weights)
        first = sum(value * count for value, count in enumerate(weights))
        second = sum(value * value * count for value, count in enumerate(weights))
        # Python's integers don't overflow, so the difference below loses nothing.
        variance = (pixels * second - first * first) / (pixels * pixels)
        means.append(first / pixels / 255)
        deviations.append(variance**0.5 / 255)
    return tuple(means), tuple(deviations)
