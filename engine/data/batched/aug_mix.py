"""AugMix of a whole batch: each sample is mixed with its own chains of operations."""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor
from torchvision.transforms import v2

from ..random_keys import SampleKeys
from .affine import Interpolation
from .auto_augment import Turn, drawn_turn, magnitude_tables, run_turns

_BINS = 10
_DEEPEST = 3


@dataclass(frozen=True)
class Chains:
    """Random parameters of AugMix for each sample.

    Attributes:
        shares: float32 [n, 1 + chains], of the image itself and of what each chain makes of it.
        turns: for each chain its operations in order.
    """

    shares: Tensor
    turns: list[list[Turn]]


@dataclass(frozen=True)
class AugMixStep:
    """AugMix; `depth` is the number of operations of a chain, not above 0 for 1 to 3 of them."""

    slot: int
    severity: int
    width: int
    depth: int
    alpha: float
    all_operations: bool
    interpolation: Interpolation
    fill: tuple[float, ...] | None

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Chains:
        """Shares and operations of each sample."""
        operations = v2.AugMix._AUGMENTATION_SPACE if self.all_operations else v2.AugMix._PARTIAL_AUGMENTATION_SPACE
        space = magnitude_tables(operations, _BINS, shape)
        deepest = self.depth if self.depth > 0 else _DEEPEST
        draws = keys.uniforms(self.slot, self.width * (1 + 3 * deepest)).view(-1, self.width, 1 + 3 * deepest)
        turns: list[list[Turn]] = []
        for chain in range(self.width):
            depth = torch.tensor(deepest) if self.depth > 0 else (draws[:, chain, 0] * _DEEPEST).long() + 1
            turns.append([])
            for place in range(deepest):
                which, level, sign = draws[:, chain, 1 + 3 * place : 4 + 3 * place].unbind(1)
                turn = drawn_turn(space, (which * len(space)).long(), (level * self.severity).long(), sign)
                turns[-1].append(Turn(torch.where(place < depth, turn.operation, 0), turn.magnitude))
        return Chains(self._shares(keys), turns)

    def _shares(self, keys: SampleKeys) -> Tensor:
        """Beta(alpha, alpha) of the image itself, the rest divided as Dirichlet(alpha, …) among the chains."""
        shares = []
        for key in keys.stream(self.slot + 1).base.tolist():
            generator = random.Random(key)
            own = generator.betavariate(self.alpha, self.alpha)
            weights = [generator.gammavariate(self.alpha, 1.0) for _ in range(self.width)]
            # With a tiny alpha all of them may round to 0.
            total = sum(weights) or 1.0
            shares.append([own, *((1.0 - own) * weight / total for weight in weights)])
        return torch.tensor(shares)

    def apply(self, images: Tensor, drawn: Chains) -> Tensor:
        """The mixed uint8 images; levels are cut off, as torchvision does."""
        shares = drawn.shares.to(images.device)[:, :, None, None, None]
        mixed = shares[:, 0] * images
        for chain, turns in enumerate(drawn.turns, start=1):
            mixed.add_(shares[:, chain] * run_turns(images, turns, self.interpolation, self.fill))
        return mixed.to(images.dtype)
