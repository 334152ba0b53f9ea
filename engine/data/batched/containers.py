"""RandomApply, RandomChoice and RandomOrder of batched steps: each sample chooses for itself.

Steps inside must keep the size of images. Each draws from keys of its own, so what it draws for a sample depends
neither on the others nor on which samples it is done to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..random_keys import SampleKeys
from .batch_steps import BatchStep
from .color import apply_to


@dataclass(frozen=True)
class Choices:
    """Selection of the steps that apply to each sample.

    Attributes:
        turns: int64 [n, turns], number of the step done in each turn; -1 for none.
        keys: random keys of the samples.
    """

    turns: Tensor
    keys: SampleKeys


@dataclass(frozen=True)
class _Container:
    """Steps of which each sample takes some, one a turn."""

    slot: int
    steps: tuple[BatchStep, ...]

    def apply(self, images: Tensor, drawn: Choices) -> Tensor:
        """The images, each after its own steps."""
        for turn in drawn.turns.unbind(1):
            for number, step in enumerate(self.steps):
                keys = drawn.keys.stream(self.slot + 1).stream(number)
                images = apply_to(images, turn == number, _through(step, keys))
        return images


def _through(step: BatchStep, keys: SampleKeys) -> Callable[[Tensor, Tensor], Tensor]:
    """A step done to some images of a batch, whose keys these are."""

    def change(chosen: Tensor, positions: Tensor) -> Tensor:
        return step.apply(chosen, step.draw(SampleKeys(keys.base[positions]), tuple(chosen.shape)))

    return change


@dataclass(frozen=True)
class ApplyStep(_Container):
    """RandomApply: all steps in order, or none."""

    probability: float

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Choices:
        """Whether each sample goes through them."""
        happens = keys.happens(self.slot, self.probability)
        return Choices(torch.where(happens[:, None], torch.arange(len(self.steps)), -1), keys)


@dataclass(frozen=True)
class ChoiceStep(_Container):
    """RandomChoice: one step, by weight."""

    weights: tuple[float, ...]

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Choices:
        """The one that each sample goes through."""
        bounds = torch.tensor(self.weights, dtype=torch.float64).cumsum(0)
        chosen = torch.searchsorted(bounds / bounds[-1], keys.uniforms(self.slot, 1)[:, 0], right=True)
        return Choices(chosen.clamp(max=len(self.steps) - 1)[:, None], keys)


@dataclass(frozen=True)
class OrderStep(_Container):
    """RandomOrder: all steps, in an order of its own for each sample."""

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Choices:
        """The order of each sample."""
        return Choices(keys.uniforms(self.slot, len(self.steps)).argsort(dim=1), keys)
