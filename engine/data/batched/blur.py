"""Gaussian blur of a whole batch, each sample with its own width."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from .slices import joined, slices


def gaussian_blur(images: Tensor, kernel_size: tuple[int, int], sigma: Tensor) -> Tensor:
    """Blur images as torchvision.transforms.v2.functional.gaussian_blur does with one sigma.

    The kernel is the product of a row and a column, so two passes of shifted sums do what its convolution does.

    Args:
        images: [n, C, H, W], uint8 or float; reflected at the border.
        kernel_size: (width, height) in pixels, odd.
        sigma: standard deviation in pixels, float64 [n].
    """
    return joined(_blurred(images[part], kernel_size, sigma[part]) for part in slices(images))


def _blurred(images: Tensor, kernel_size: tuple[int, int], sigma: Tensor) -> Tensor:
    across, down = kernel_size[0] // 2, kernel_size[1] // 2
    pixels = pad(images.float(), [across, across, down, down], mode="reflect")
    for axis, size in ((3, kernel_size[0]), (2, kernel_size[1])):
        length = images.shape[axis]
        weights = blur_kernel(size, sigma).to(images.device)
        parts = (pixels.narrow(axis, tap, length) * weights[:, tap, None, None, None] for tap in range(size))
        total = next(parts)
        for part in parts:
            total += part
        pixels = total
    return pixels if images.is_floating_point() else pixels.round_().to(images.dtype)


def blur_kernel(size: int, sigma: Tensor) -> Tensor:
    """Weights float32 [n, size] of a Gaussian with standard deviations `sigma` [n]."""
    # The factor of 1/2 in the exponent is in the distances, as in torchvision.
    limit = (size - 1) / (2.0 * math.sqrt(2.0))
    distance = torch.linspace(-limit, limit, steps=size)
    return torch.softmax(-((distance / sigma.float()[:, None]) ** 2), dim=1)
