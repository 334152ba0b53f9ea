"""GaussianNoise of a whole batch, each sample with its own numbers, made where the pixels are."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..random_keys import SampleKeys
from .slices import joined, slices

# Noise made at a time stays in the core's own cache until it is added.
_NOISE_BYTES = 384 << 10

_QUANTILES = 1 << 16


@dataclass(frozen=True)
class NoiseStep:
    """GaussianNoise; mean and sigma in units of [0, 1].

    A number takes 16 random bits: they choose one of the 65,536 quantiles (k + ½) / 65,536 of the normal distribution,
    of which the outermost are ±4.3. Every number's distribution function is the normal one to within 2^-17. Whole
    levels of uint8 pixels are looked up as such, so that nothing is multiplied or rounded for a pixel.
    """

    slot: int
    mean: float
    sigma: float
    clips: bool

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> SampleKeys:
        """What the noise follows from: the noise itself is made where it is used, a few images at a time."""
        return keys

    def apply(self, images: Tensor, drawn: SampleKeys) -> Tensor:
        """The noisy images; uint8 noise is cut off to whole levels, as torchvision does."""
        keys = SampleKeys(drawn.base.to(images.device))
        return joined(self._noisy(images[part], keys.of(part)) for part in slices(images, _NOISE_BYTES))

    def noise(self, keys: SampleKeys, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers for samples of this shape, float32 [n, *shape]."""
        return self._looked_up(normal_quantiles(keys.base.device), keys, shape)

    def _noisy(self, images: Tensor, keys: SampleKeys) -> Tensor:
        shape = tuple(images.shape[1:])
        if images.is_floating_point():
            noisy = self.noise(keys, shape).mul_(self.sigma).add_(self.mean).add_(images)
            return noisy.clamp_(0, 1) if self.clips else noisy
        noisy = self._looked_up(_levels(self.mean, self.sigma, images.device), keys, shape).add_(images)
        return (noisy.clamp_(0, 255) if self.clips else noisy).to(torch.uint8)

    def _looked_up(self, table: Tensor, keys: SampleKeys, shape: tuple[int, ...]) -> Tensor:
        count = math.prod(shape)
        halves = keys.words(self.slot, -(-count // 2)).view(torch.int16)[:, :count]
        chosen = halves.flatten().int().bitwise_and_(_QUANTILES - 1)
        return table.index_select(0, chosen).view(-1, *shape)


@functools.lru_cache(maxsize=8)
def normal_quantiles(device: torch.device) -> Tensor:
    """The quantiles (k + ½) / 65,536 of the standard normal distribution, float32 [65536]."""
    # Computed on the CPU, so that they are the same everywhere.
    shares = (torch.arange(_QUANTILES, dtype=torch.float64) + 0.5) / _QUANTILES
    return (torch.erfinv(2 * shares - 1) * math.sqrt(2)).float().to(device)


@functools.lru_cache(maxsize=8)
def _levels(mean: float, sigma: float, device: torch.device) -> Tensor:
    """The same as noise of uint8 pixels, int16 [65536], cut off to whole levels."""
    quantiles = normal_quantiles(torch.device("cpu"))
    return (quantiles * (sigma * 255) + mean * 255).to(torch.int16).to(device)
