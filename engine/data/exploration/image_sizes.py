"""Sizes and color modes of a split's images, from the files' headers where samples are files."""

from __future__ import annotations

from collections.abc import Sequence

from ...progress import Progress
from ..datasets.images.files import QUARTER_TURNS, open_image, orientation
from ..datasets.images.folder import FolderDataset
from ..datasets.samples import sample_name
from ..datasets.splits import ArrayDataset, Split
from ..loading.storage import read_image
from .findings import ImageSizes

_REPORT_EVERY = 64
# If finding the size of a sample means decoding it, this many are enough for a first look.
_DECODED = 50


def look_at_sizes(split: Split, positions: Sequence[int], *, progress: Progress) -> ImageSizes:
    """Sizes and modes of these samples; nothing is decoded where the data set is a folder or an array."""
    dataset = split.dataset
    found = ImageSizes(turns=isinstance(dataset, FolderDataset) and dataset.turns)
    if isinstance(dataset, ArrayDataset):
        height, width = dataset.images.shape[1:3]
        channels = dataset.images.shape[3] if dataset.images.ndim == 4 else 1
        found.sizes[(height, width)] = found.looked_at = len(positions)
        found.modes[_mode(channels)] = len(positions)
        return found
    if not isinstance(dataset, FolderDataset):
        positions = positions[:: max(1, len(positions) // _DECODED)]
    for done, position in enumerate(positions):
        if done % _REPORT_EVERY == 0:
            progress("reading headers", done, len(positions))
        found.looked_at += 1
        try:
            if isinstance(dataset, FolderDataset):
                _add_file(found, dataset, split.dataset_index(position))
            else:
                channels, height, width = read_image(split, position)[0].shape
                found.sizes[(height, width)] += 1
                found.modes[_mode(channels)] += 1
        except Exception as error:
            # Pillow's readers of headers raise OSError, SyntaxError, ValueError, struct.error, …
            name = sample_name(split, position)
            why = str(error).partition("\n")[0].removeprefix(f"{name}: ")
            found.unreadable[name] = why or type(error).__name__
    return found


def _add_file(found: ImageSizes, dataset: FolderDataset, index: int) -> None:
    with open_image(dataset.root / dataset.files[index]) as image:
        width, height = image.size
        turn = orientation(image)
        if dataset.turns and turn in QUARTER_TURNS:
            width, height = height, width
        found.sizes[(height, width)] += 1
        found.modes[image.mode] += 1
        found.rotated += turn != 1


def _mode(channels: int) -> str:
    return {1: "gray", 3: "RGB", 4: "RGBA"}.get(channels, f"{channels} channels")
