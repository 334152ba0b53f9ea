"""Crops and flips of a whole batch, each sample with its own random parameters, as one gather of rows.

The images are padded once. A crop of one image is then a window in each of its rows; a horizontal flip takes the
window from a mirrored copy of the images, a vertical flip takes the rows from below. So choosing the samples of a
batch, cropping and flipping them is one `index_select` over all windows of the crop's width, which overlap in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from ...errors import ConfigError
from ..random_keys import SampleKeys
from .batch_plan import BatchPlan, Crop, Flip

# Images padded at a time: torch pads in float32 for some modes, four times the memory.
_LAYOUT_CHUNK = 2048


@dataclass(frozen=True)
class Moves:
    """Crop position and flips of each sample in a batch. All tensors [n].

    Attributes:
        top, left: int64, first row and column of the crop in the padded image, as torchvision draws them.
        flips_before, flips_after: (horizontal, vertical) bool, before and after the crop.
    """

    top: Tensor
    left: Tensor
    flips_before: tuple[Tensor, Tensor]
    flips_after: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class PaddedSize:
    """Sizes in pixels of an image, padded for its crop, and of the crop."""

    height: int
    width: int
    crop_height: int
    crop_width: int
    padding: tuple[int, int, int, int]


def padded_size(plan: BatchPlan, height: int, width: int) -> PaddedSize:
    """How much images [height, width] are padded and what is cut out of them, by RandomCrop's rules.

    Raises:
        ConfigError: the crop is larger than the padded image.
    """
    crop = plan.crop
    if crop is None:
        return PaddedSize(height, width, height, width, (0, 0, 0, 0))
    crop_height, crop_width = crop.size
    left, top, right, bottom = crop.padding
    if crop.pad_if_needed:
        more = max(crop_height - (height + top + bottom), 0)
        top, bottom = top + more, bottom + more
        more = max(crop_width - (width + left + right), 0)
        left, right = left + more, right + more
    full_height, full_width = height + top + bottom, width + left + right
    if crop_height > full_height or crop_width > full_width:
        raise ConfigError(
            f"RandomCrop(size={[crop_height, crop_width]}) is larger than the {full_height}×{full_width} image: "
            "use a smaller size, or padding"
        )
    return PaddedSize(full_height, full_width, crop_height, crop_width, (left, top, right, bottom))


def draw_moves(plan: BatchPlan, size: PaddedSize, keys: SampleKeys) -> Moves:
    """Random parameters of each sample, with the distributions of torchvision's transforms."""
    if plan.crop is None:
        top = left = torch.zeros_like(keys.base)
    else:
        top = _draw_offset(keys, plan.crop, 0, size.height - size.crop_height)
        left = _draw_offset(keys, plan.crop, 1, size.width - size.crop_width)
    return Moves(top, left, _draw_flips(keys, plan.before), _draw_flips(keys, plan.after))


def _draw_offset(keys: SampleKeys, crop: Crop, axis: int, largest: int) -> Tensor:
    if largest == 0:
        return torch.zeros_like(keys.base)
    return keys.integers(crop.slot + axis, largest + 1)


def _draw_flips(keys: SampleKeys, flips: tuple[Flip, ...]) -> tuple[Tensor, Tensor]:
    """Two flips along one axis undo each other."""
    never = torch.zeros_like(keys.base, dtype=torch.bool)
    horizontal = vertical = never
    for flip in flips:
        happens = keys.happens(flip.slot, flip.probability)
        if flip.axis == "horizontal":
            horizontal = horizontal ^ happens
        else:
            vertical = vertical ^ happens
    return horizontal, vertical


class WindowStore:
    """Images laid out for gathering crops and flips.

    Holds the padded images, and their mirror images where rows are to be read backwards: twice the memory, in
    exchange for a copy of whole rows instead of single pixels.
    """

    def __init__(self, images: Tensor, plan: BatchPlan) -> None:
        """Lay out uint8 images [N, C, H, W]. Raises ConfigError for a crop larger than the padded image."""
        self.count, self.channels, height, width = images.shape
        self.size = padded_size(plan, height, width)
        self.plan = plan
        copies = 2 if plan.flips_horizontally else 1
        layout = (copies, self.count, self.channels, self.size.height, self.size.width)
        store = torch.empty(layout, dtype=torch.uint8, device=images.device)
        for start in range(0, self.count, _LAYOUT_CHUNK):
            part = slice(start, start + _LAYOUT_CHUNK)
            store[0, part] = _pad(images[part], plan, self.size)
            if copies == 2:
                store[1, part] = store[0, part].flip(3)
        self._flat = store.view(-1)
        # Every run of `crop_width` bytes, overlapping; as a view it takes no memory.
        self._windows = self._flat.as_strided(
            (self._flat.numel() - self.size.crop_width + 1, self.size.crop_width), (1, 1)
        )
        device = images.device
        plane = self.size.height * self.size.width
        self._planes = (torch.arange(self.channels, device=device) * plane)[:, None]
        self._rows = torch.arange(self.size.crop_height, device=device) * self.size.width

    @property
    def nbytes(self) -> int:
        """Bytes of pixels held."""
        return self._flat.nbytes

    def gather(self, samples: Tensor, moves: Moves) -> Tensor:
        """Cut out crops: uint8 [n, C, crop height, crop width] of the samples with indices int64 [n]."""
        size = self.size
        horizontal_after, vertical_after = moves.flips_after
        # A flip after the crop is the same flip before it with the crop at the mirrored place.
        left = torch.where(horizontal_after, size.width - size.crop_width - moves.left, moves.left)
        top = torch.where(vertical_after, size.height - size.crop_height - moves.top, moves.top)
        mirrored = horizontal_after ^ moves.flips_before[0]
        upside_down = vertical_after ^ moves.flips_before[1]
        first_row = torch.where(upside_down, size.height - 1 - top, top)
        step = torch.where(upside_down, -1, 1)
        image = torch.where(mirrored, samples + self.count, samples)
        first = image * (self.channels * size.height * size.width) + first_row * size.width + left
        rows = first[:, None, None] + self._planes + step[:, None, None] * self._rows
        windows = self._windows.index_select(0, rows.view(-1))
        return windows.view(len(samples), self.channels, size.crop_height, size.crop_width)


def cut_moves(images: Tensor, plan: BatchPlan, keys: SampleKeys) -> Tensor:
    """Crops and flips of a batch that isn't laid out before: uint8 [n, C, H, W] and the keys of its samples."""
    windows = WindowStore(images, plan)
    return windows.gather(torch.arange(len(images), device=images.device), draw_moves(plan, windows.size, keys))


def _pad(images: Tensor, plan: BatchPlan, size: PaddedSize) -> Tensor:
    if plan.crop is None or not any(size.padding):
        return images
    fill = plan.crop.fill
    return functional.pad(images, list(size.padding), fill=fill, padding_mode=plan.crop.padding_mode)


def window_store_bytes(plan: BatchPlan, shape: tuple[int, int, int, int]) -> int:
    """Bytes a WindowStore of images [N, C, H, W] takes."""
    count, channels, height, width = shape
    size = padded_size(plan, height, width)
    return count * channels * size.height * size.width * (2 if plan.flips_horizontally else 1)
