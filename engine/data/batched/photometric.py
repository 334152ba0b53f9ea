"""Permuted channels and RandomPhotometricDistort of a whole batch, each sample with its own draw."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..random_keys import SampleKeys
from . import color
from .color import apply_to

Range = tuple[float, float]


@dataclass(frozen=True)
class PermutationStep:
    """RandomChannelPermutation."""

    slot: int

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Tensor:
        """Source channel of each channel, int64 [n, C]."""
        return keys.uniforms(self.slot, shape[1]).argsort(dim=1)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The images with their channels in another order."""
        count, channels = images.shape[:2]
        planes = drawn + torch.arange(count)[:, None] * channels
        return images.flatten(0, 1).index_select(0, planes.flatten().to(images.device)).view(images.shape)


@dataclass(frozen=True)
class Distortions:
    """Random parameters of RandomPhotometricDistort for each sample.

    Attributes:
        happens: bool [n, 5], whether brightness, contrast, saturation, hue and the order of channels are changed.
        factors: float64 [n, 4], of the first four.
        contrast_first: bool [n], whether contrast comes before saturation and hue, else after them.
        order: int64 [n, C], of channels.
    """

    happens: Tensor
    factors: Tensor
    contrast_first: Tensor
    order: Tensor


@dataclass(frozen=True)
class DistortStep:
    """RandomPhotometricDistort; ranges of brightness, contrast, saturation and hue."""

    slot: int
    ranges: tuple[Range, Range, Range, Range]
    probability: float

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Distortions:
        """Which of the changes each sample sees, and their factors."""
        draws = keys.uniforms(self.slot, 10)
        factors = [low + (high - low) * draws[:, number] for number, (low, high) in enumerate(self.ranges)]
        order = keys.uniforms(self.slot + 1, shape[1]).argsort(dim=1)
        happens = draws[:, 4:9] < self.probability
        return Distortions(happens, torch.stack(factors, dim=1), draws[:, 9] < 0.5, order)

    def apply(self, images: Tensor, drawn: Distortions) -> Tensor:
        """The distorted images."""
        brightness, contrast, saturation, hue, permutes = drawn.happens.unbind(1)
        adjustments = (
            (brightness, color.adjust_brightness, 0),
            (contrast & drawn.contrast_first, color.adjust_contrast, 1),
            (saturation, color.adjust_saturation, 2),
            (hue, color.adjust_hue, 3),
            (contrast & ~drawn.contrast_first, color.adjust_contrast, 1),
        )
        for chosen, adjust, number in adjustments:
            factors = drawn.factors[:, number]
            images = apply_to(
                images,
                chosen,
                lambda some, positions, a=adjust, f=factors: a(some, f[positions]),  # type: ignore[misc]
            )
        permutation = PermutationStep(self.slot)
        return apply_to(images, permutes, lambda some, positions: permutation.apply(some, drawn.order[positions]))
