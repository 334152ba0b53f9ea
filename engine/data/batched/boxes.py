"""Random boxes, one per image: what RandomResizedCrop cuts out and what RandomErasing fills."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..random_keys import SampleKeys

# torchvision tries as often before it gives up (RandomResizedCrop.make_params, RandomErasing.make_params).
_TRIES = 10


@dataclass(frozen=True)
class Boxes:
    """One box an image, in pixels: int64 [n] in the machine's memory."""

    top: Tensor
    left: Tensor
    height: Tensor
    width: Tensor

    def of(self, part: slice) -> Boxes:
        """The boxes of some of the images."""
        return Boxes(self.top[part], self.left[part], self.height[part], self.width[part])


def crop_boxes(
    keys: SampleKeys, slot: int, size: tuple[int, int], scale: tuple[float, float], ratio: tuple[float, float]
) -> Boxes:
    """Boxes as RandomResizedCrop draws them; the middle of the image where no try fits.

    Args:
        keys: random keys of the samples.
        slot: number of the draw.
        size: (height, width) of the images.
        scale: smallest and largest share of the image's area.
        ratio: smallest and largest width / height.
    """
    height, width = size
    draws = crop_tries(keys, slot, scale, ratio)
    area, aspect = height * width * draws[..., 0], draws[..., 1]
    widths, heights = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
    box, found = _first(draws, heights, widths, fits, size)
    sides = (box.top, box.left, box.height, box.width)
    middle = _middle(size, ratio)
    return Boxes(*(torch.where(found, side, default) for side, default in zip(sides, middle, strict=True)))


def crop_tries(keys: SampleKeys, slot: int, scale: tuple[float, float], ratio: tuple[float, float]) -> Tensor:
    """What RandomResizedCrop draws before it knows an image's size, float64 [n, tries, 4].

    The share of the area, uniform; the aspect ratio, uniform in its logarithm; where the box lies down and across,
    uniform in [0, 1).
    """
    draws = keys.uniforms(slot, 4 * _TRIES).view(-1, _TRIES, 4)
    area, aspect = _areas(draws, 1, scale, ratio)
    return torch.stack((area, aspect, draws[..., 2], draws[..., 3]), dim=2)


def crop_box(
    tries: Sequence[Sequence[float]], size: tuple[int, int], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """The box (top, left, height, width) that `crop_boxes` gives for one image.

    Args:
        tries: crops to try for this sample, from `crop_tries`.
        size: (height, width) of the image.
        ratio: smallest and largest width / height.
    """
    height, width = size
    for share, aspect, down, across in tries:
        area = height * width * share
        wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            return math.floor(down * (height - tall + 1)), math.floor(across * (width - wide + 1)), tall, wide
    return _middle(size, ratio)


def _middle(size: tuple[int, int], ratio: tuple[float, float]) -> tuple[int, int, int, int]:
    """The largest box of an allowed ratio in the middle of an image: (top, left, height, width)."""
    height, width = size
    if width / height < min(ratio):
        tall, wide = round(width / min(ratio)), width
    elif width / height > max(ratio):
        tall, wide = height, round(height * max(ratio))
    else:
        tall, wide = height, width
    return (height - tall) // 2, (width - wide) // 2, tall, wide


def erase_boxes(
    keys: SampleKeys,
    slot: int,
    happens: Tensor,
    size: tuple[int, int],
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Boxes:
    """Boxes as RandomErasing draws them; of no size where `happens` (bool [n]) is false or no try fits."""
    height, width = size
    draws = keys.uniforms(slot, 4 * _TRIES).view(-1, _TRIES, 4)
    area, aspect = _areas(draws, height * width, scale, ratio)
    heights, widths = (area * aspect).sqrt().round(), (area / aspect).sqrt().round()
    box, found = _first(draws, heights, widths, (heights < height) & (widths < width), size)
    found &= happens
    return Boxes(box.top, box.left, torch.where(found, box.height, 0), torch.where(found, box.width, 0))


def erased(images: Tensor, boxes: Boxes, value: tuple[float, ...]) -> Tensor:
    """Images [n, C, H, W] with each box filled by `value`, one or one per channel."""
    if images.device.type == "cpu":
        return _erased_one_by_one(images, boxes, value)
    height, width = images.shape[2:]
    device = images.device
    top, left, tall, wide = (side.to(device) for side in (boxes.top, boxes.left, boxes.height, boxes.width))
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    in_rows = (rows >= top[:, None]) & (rows < (top + tall)[:, None])
    in_columns = (columns >= left[:, None]) & (columns < (left + wide)[:, None])
    inside = (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
    return torch.where(inside, torch.tensor(value, device=device).to(images.dtype).view(-1, 1, 1), images)


def _erased_one_by_one(images: Tensor, boxes: Boxes, value: tuple[float, ...]) -> Tensor:
    """The same, touching no pixel outside the boxes but to copy it."""
    result = images.clone()
    color = torch.tensor(value).to(images.dtype).view(-1, 1, 1)
    for number in boxes.height.nonzero()[:, 0].tolist():
        top, left, tall, wide = (int(side[number]) for side in (boxes.top, boxes.left, boxes.height, boxes.width))
        result[number, :, top : top + tall, left : left + wide] = color
    return result


def _areas(
    draws: Tensor, pixels: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Area in pixels, uniform, and aspect ratio, uniform in its logarithm: float64 [n, tries] each."""
    low, high = math.log(ratio[0]), math.log(ratio[1])
    area = pixels * (scale[0] + (scale[1] - scale[0]) * draws[..., 0])
    return area, torch.exp(low + (high - low) * draws[..., 1])


def _first(
    draws: Tensor, heights: Tensor, widths: Tensor, fits: Tensor, size: tuple[int, int]
) -> tuple[Boxes, Tensor]:
    """The first try of each sample that fits, at a uniform place, and whether there is one."""
    first = fits.int().argmax(dim=1, keepdim=True)
    height, width = heights.gather(1, first)[:, 0], widths.gather(1, first)[:, 0]
    place = draws.gather(1, first[:, :, None].expand(-1, -1, 4))[:, 0]
    top = (place[:, 2] * (size[0] - height + 1).clamp(min=1)).floor()
    left = (place[:, 3] * (size[1] - width + 1).clamp(min=1)).floor()
    return Boxes(top.long(), left.long(), height.long(), width.long()), fits.any(dim=1)
