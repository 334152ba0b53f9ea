"""Rotations, shears, translations and scalings of a whole batch, each sample with its own matrix.

The formulas are those of torchvision.transforms.v2.functional (`_geometry.py`). Angles are in degrees, sizes and
translations in pixels, coordinates relative to the image's center. Parameters are float64 [n] in the machine's memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from .slices import joined, slices

Interpolation = Literal["nearest", "bilinear"]
Center = tuple[float, float]


@dataclass(frozen=True)
class AffineParameters:
    """Random parameters of RandomAffine for each sample; all float64 [n].

    Attributes:
        angle: rotation in degrees, as torchvision's `affine` counts it.
        translate_x, translate_y: pixels.
        scale: factor.
        shear_x, shear_y: degrees.
    """

    angle: Tensor
    translate_x: Tensor
    translate_y: Tensor
    scale: Tensor
    shear_x: Tensor
    shear_y: Tensor


def rotation(angle: Tensor) -> AffineParameters:
    """A rotation counter-clockwise by `angle` degrees, as torchvision's `rotate` counts it."""
    zero = torch.zeros_like(angle)
    return AffineParameters(-(angle % 360), zero, zero, torch.ones_like(angle), zero, zero)


def inverse_matrices(parameters: AffineParameters, center: tuple[Tensor | float, Tensor | float] = (0, 0)) -> Tensor:
    """Matrices float64 [n, 2, 3] from a pixel of the result to the pixel that it comes from.

    Args:
        parameters: parameters of each sample.
        center: (x, y) that stays where it is, relative to the image's center.
    """
    angle = torch.deg2rad(parameters.angle)
    shear_x, shear_y = torch.deg2rad(parameters.shear_x), torch.deg2rad(parameters.shear_y)
    a = torch.cos(angle - shear_y) / torch.cos(shear_y)
    b = -(a * torch.tan(shear_x) + torch.sin(angle))
    c = torch.sin(angle - shear_y) / torch.cos(shear_y)
    d = torch.cos(angle) - c * torch.tan(shear_x)
    scale = parameters.scale
    rows = torch.stack((d / scale, -b / scale, -c / scale, a / scale), dim=1).view(-1, 2, 2)
    x, y = center
    moved_x, moved_y = x + parameters.translate_x, y + parameters.translate_y
    offset_x = x - rows[:, 0, 0] * moved_x - rows[:, 0, 1] * moved_y
    offset_y = y - rows[:, 1, 0] * moved_x - rows[:, 1, 1] * moved_y
    return torch.cat((rows, torch.stack((offset_x, offset_y), dim=1)[:, :, None]), dim=2)


def warp(images: Tensor, matrices: Tensor, interpolation: Interpolation, fill: list[float] | None) -> Tensor:
    """Images [n, C, H, W] whose pixels are looked up through inverse matrices [n, 2, 3].

    Args:
        images: uint8, or float.
        matrices: result of `inverse_matrices`.
        interpolation: nearest or bilinear.
        fill: pixel outside the image, one value or one per channel; None for zeros. As in torchvision, bilinear
            interpolation at the border differs between None and zeros.
    """
    return joined(_warped(images[part], matrices[part], interpolation, fill) for part in slices(images))


def _warped(images: Tensor, matrices: Tensor, interpolation: Interpolation, fill: list[float] | None) -> Tensor:
    grid = _grid(matrices.float().to(images.device), *images.shape[2:])
    return looked_up(images, grid, interpolation, fill)


def looked_up(images: Tensor, grid: Tensor, interpolation: Interpolation, fill: Sequence[float] | None) -> Tensor:
    """Images [n, C, H, W] whose pixels come from the places in `grid`, float32 [n, H, W, 2] as grid_sample takes it.

    Interpolation and fill are those of `warp`.
    """
    pixels = images.float()
    # Outside is 0 anyway.
    masked = fill is not None and (interpolation == "bilinear" or any(fill))
    if masked:
        pixels = torch.cat((pixels, torch.ones_like(pixels[:, :1])), dim=1)
    pixels = grid_sample(pixels, grid, mode=interpolation, padding_mode="zeros", align_corners=False)
    if masked:
        pixels, mask = pixels[:, :-1], pixels[:, -1:]
        outside = pixels.new_tensor(fill).view(1, -1, 1, 1)
        if interpolation == "nearest":
            pixels = torch.where(mask < 0.5, outside, pixels)
        else:
            pixels = (pixels - outside).mul_(mask).add_(outside)
    return pixels if images.is_floating_point() else pixels.round_().to(images.dtype)


def _grid(matrices: Tensor, height: int, width: int) -> Tensor:
    """grid_sample's coordinates [n, H, W, 2] of float32 inverse matrices [n, 2, 3]."""
    base = matrices.new_ones((height, width, 3))
    base[..., 0] = torch.linspace((1.0 - width) * 0.5, (width - 1.0) * 0.5, width, device=matrices.device)
    base[..., 1] = torch.linspace((1.0 - height) * 0.5, (height - 1.0) * 0.5, height, device=matrices.device)[:, None]
    scaled = matrices.transpose(1, 2) / matrices.new_tensor([0.5 * width, 0.5 * height])
    count = len(matrices)
    return base.view(1, height * width, 3).expand(count, -1, -1).bmm(scaled).view(count, height, width, 2)
