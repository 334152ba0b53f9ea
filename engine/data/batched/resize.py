"""Crops of different sizes resized to one size: a whole batch in two matrix products, each sample with its own box.

The weights are those of ATen's antialiased bilinear filter (`_compute_indices_min_size_weights_aa` in
`UpSampleKernel.cpp`): a triangle of the larger of one pixel and the scale. uint8 images go through its fixed-point
arithmetic: 16-bit weights, rounding after the horizontal and after the vertical pass. Its sums stay below 2^24, where
float32 is exact, so the products give the same levels as torchvision does on a CPU, in whatever order they add.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from .boxes import Boxes
from .slices import joined, slices

# Pixels of a side from which on a CPU resizes images one by one in less time than by products, whose cost grows with
# the third power of the side: 1.3 times the DataLoader tier's speed at 64 pixels, 0.6 times at 96
# (benchmarks/data_path.py --operations). Levels are the same either way.
_LARGEST_PRODUCT = 56


def resized_crops(images: Tensor, boxes: Boxes, size: tuple[int, int]) -> Tensor:
    """Cut the boxes out of images [n, C, H, W], uint8 or float, and resize them to `size` = (height, width)."""
    if images.device.type == "cpu" and max(*images.shape[2:], *size) > _LARGEST_PRODUCT:
        return _one_by_one(images, boxes, size)
    return joined(_resized(images[part], boxes.of(part), size) for part in slices(images))


def _one_by_one(images: Tensor, boxes: Boxes, size: tuple[int, int]) -> Tensor:
    places = zip(*(side.tolist() for side in (boxes.top, boxes.left, boxes.height, boxes.width)), strict=True)
    resize = functional.resized_crop
    return torch.stack([resize(image, *box, size=list(size)) for image, box in zip(images, places, strict=True)])


def _resized(images: Tensor, boxes: Boxes, size: tuple[int, int]) -> Tensor:
    count, channels, height, width = images.shape
    rows, row_bits = _weights(boxes.top, boxes.height, height, size[0], images)
    columns, column_bits = _weights(boxes.left, boxes.width, width, size[1], images)
    # Channels go between rows and columns, so that both passes are one product an image.
    pixels = images.new_empty((count, height, channels, width), dtype=torch.float32).copy_(images.permute(0, 2, 1, 3))
    pixels = pixels.view(count, height * channels, width)
    with _full_precision(images.device):
        pixels = _rounded(torch.bmm(pixels, columns), column_bits)
        pixels = _rounded(torch.bmm(rows.transpose(1, 2), pixels.view(count, height, channels * size[1])), row_bits)
    resized = images.new_empty((count, channels, *size))
    return resized.copy_(pixels.view(count, size[0], channels, size[1]).permute(0, 2, 1, 3))


def _weights(offset: Tensor, length: Tensor, full: int, out: int, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Filter of one axis.

    Args:
        offset, length: int64 [n], where each box begins and its size along the axis.
        full: size of the images along the axis.
        out: size of the result along the axis.
        images: decides device and dtype.

    Returns:
        float32 [n, full, out], and for uint8 images the number of fractional bits, [n].
    """
    taps = 2 * math.ceil(max(float(length.max()) / out, 1.0)) + 1
    offset, length = offset.to(images.device), length.to(images.device)
    scale = length.double() / out
    support = scale.clamp(min=1.0)[:, None]
    center = scale[:, None] * (torch.arange(out, device=images.device).double() + 0.5)
    first = (center - support + 0.5).floor().clamp_(min=0)
    end = torch.minimum((center + support + 0.5).floor(), length.double()[:, None])
    # Taps [n, taps, out]: the sum over few taps is then one over rows.
    tap = first[:, None] + torch.arange(taps, device=images.device).double()[:, None]
    weights = (1 - ((tap - center[:, None] + 0.5) / support[..., None]).abs()).clamp_(min=0)
    weights *= tap < end[:, None]
    weights /= weights.sum(1, keepdim=True)
    bits = None
    if images.dtype == torch.uint8:
        # ATen takes the largest number of bits with which the largest weight still fits into an int16.
        largest = weights.amax((1, 2))
        bits = (torch.log2(32767.5 / largest).ceil() - 1).clamp_(0, 22)
        weights = (weights * torch.exp2(bits)[:, None, None] + 0.5).floor()
    # Taps beyond the box weigh nothing, so their column may be any.
    columns = (tap.long() + offset[:, None, None]).clamp_(max=full - 1)
    dense = torch.zeros((len(offset), full, out), device=images.device)
    return dense.scatter_add_(1, columns, weights.float()), bits


def _rounded(sums: Tensor, bits: Tensor | None) -> Tensor:
    """Fixed-point sums [n, …] back to levels; floats as they are."""
    if bits is None:
        return sums
    unit = torch.exp2(bits).float()[:, None, None]
    return sums.add_(unit / 2).div_(unit).floor_().clamp_(0, 255)


@contextlib.contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """Products of float32 as such, and not in TF32, which a run may have switched on for its model."""
    if device.type != "cuda" or not torch.backends.cuda.matmul.allow_tf32:
        yield
        return
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = True
