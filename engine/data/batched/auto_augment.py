"""TrivialAugmentWide, RandAugment and AutoAugment of whole batches: each sample has its own operations.

The operations, their magnitudes and AutoAugment's policies are read from torchvision's classes. Samples that drew the
same operation are done together; all operations that move pixels are one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ..random_keys import SampleKeys
from . import color
from .affine import AffineParameters, Interpolation, inverse_matrices, warp
from .color import apply_to

_GEOMETRIC = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
_AUTO_AUGMENT_BINS = 10

_PIXEL_OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "Brightness": lambda images, magnitude: color.adjust_brightness(images, 1.0 + magnitude),
    "Color": lambda images, magnitude: color.adjust_saturation(images, 1.0 + magnitude),
    "Contrast": lambda images, magnitude: color.adjust_contrast(images, 1.0 + magnitude),
    "Sharpness": lambda images, magnitude: color.adjust_sharpness(images, 1.0 + magnitude),
    "Posterize": lambda images, magnitude: color.posterize(images, magnitude.long()),
    "Solarize": lambda images, magnitude: color.solarize(images, 255.0 * magnitude),
    "AutoContrast": lambda images, _: functional.autocontrast(images),
    "Equalize": lambda images, _: functional.equalize(images),
    "Invert": lambda images, _: functional.invert(images),
}

OPERATIONS = ("Identity", *_GEOMETRIC, *_PIXEL_OPERATIONS)


@dataclass(frozen=True)
class Turn:
    """One operation a sample.

    Attributes:
        operation: int64 [n], index into OPERATIONS.
        magnitude: float64 [n], in the operation's own unit; 0 where it has none.
    """

    operation: Tensor
    magnitude: Tensor


@dataclass(frozen=True)
class TrivialAugmentStep:
    """TrivialAugmentWide: one operation a sample, with a random magnitude."""

    slot: int
    bins: int
    interpolation: Interpolation
    fill: tuple[float, ...] | None

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> list[Turn]:
        """The operation of each sample."""
        space = magnitude_tables(v2.TrivialAugmentWide._AUGMENTATION_SPACE, self.bins, shape)
        draws = keys.uniforms(self.slot, 3)
        magnitude_bin = (draws[:, 1] * self.bins).long()
        return [drawn_turn(space, _index(draws[:, 0], len(space)), magnitude_bin, draws[:, 2])]

    def apply(self, images: Tensor, drawn: list[Turn]) -> Tensor:
        """The augmented uint8 images."""
        return run_turns(images, drawn, self.interpolation, self.fill)


@dataclass(frozen=True)
class RandAugmentStep:
    """RandAugment: several operations per sample, with one magnitude."""

    slot: int
    count: int
    magnitude: int
    bins: int
    interpolation: Interpolation
    fill: tuple[float, ...] | None

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> list[Turn]:
        """The operations of each sample, in order."""
        space = magnitude_tables(v2.RandAugment._AUGMENTATION_SPACE, self.bins, shape)
        draws = keys.uniforms(self.slot, 2 * self.count)
        magnitude_bin = torch.full((len(draws),), self.magnitude)
        return [
            drawn_turn(space, _index(draws[:, 2 * turn], len(space)), magnitude_bin, draws[:, 2 * turn + 1])
            for turn in range(self.count)
        ]

    def apply(self, images: Tensor, drawn: list[Turn]) -> Tensor:
        """The augmented uint8 images."""
        return run_turns(images, drawn, self.interpolation, self.fill)


@dataclass(frozen=True)
class AutoAugmentStep:
    """AutoAugment: each sample draws one of a policy's pairs of operations; each of the two happens or doesn't."""

    slot: int
    policy: v2.AutoAugmentPolicy
    interpolation: Interpolation
    fill: tuple[float, ...] | None

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> list[Turn]:
        """The two operations of each sample, in order."""
        space = magnitude_tables(v2.AutoAugment._AUGMENTATION_SPACE, _AUTO_AUGMENT_BINS, shape)
        names = list(space)
        pairs = v2.AutoAugment(self.policy)._policies
        draws = keys.uniforms(self.slot, 5)
        pair = _index(draws[:, 0], len(pairs))
        turns = []
        for place in range(2):
            operations = torch.tensor([names.index(both[place][0]) for both in pairs])[pair]
            probability = torch.tensor([both[place][1] for both in pairs], dtype=torch.float64)[pair]
            magnitude_bin = torch.tensor([both[place][2] or 0 for both in pairs])[pair]
            turn = drawn_turn(space, operations, magnitude_bin, draws[:, 3 + place])
            happens = draws[:, 1 + place] < probability
            turns.append(Turn(torch.where(happens, turn.operation, 0), turn.magnitude))
        return turns

    def apply(self, images: Tensor, drawn: list[Turn]) -> Tensor:
        """The augmented uint8 images."""
        return run_turns(images, drawn, self.interpolation, self.fill)


def run_turns(
    images: Tensor, turns: list[Turn], interpolation: Interpolation, fill: tuple[float, ...] | None
) -> Tensor:
    """Do each sample's operations to uint8 images [n, C, H, W]."""
    for turn in turns:
        geometric = (turn.operation >= 1) & (turn.operation <= len(_GEOMETRIC))
        images = apply_to(images, geometric, _moving(turn, interpolation, fill))
        for name, operate in _PIXEL_OPERATIONS.items():
            images = apply_to(images, turn.operation == OPERATIONS.index(name), _operating(operate, turn))
    return images


def _moving(
    turn: Turn, interpolation: Interpolation, fill: tuple[float, ...] | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """Shears about the top left corner, translations by whole pixels, rotations about the middle, as one warp."""

    def move(images: Tensor, positions: Tensor) -> Tensor:
        operation, magnitude = turn.operation[positions], turn.magnitude[positions]
        zero = torch.zeros_like(magnitude)

        def of(name: str, value: Tensor) -> Tensor:
            return torch.where(operation == OPERATIONS.index(name), value, zero)

        shear = torch.rad2deg(torch.atan(magnitude))
        parameters = AffineParameters(
            angle=of("Rotate", -(magnitude % 360)),
            translate_x=of("TranslateX", magnitude.trunc()),
            translate_y=of("TranslateY", magnitude.trunc()),
            scale=torch.ones_like(zero),
            shear_x=of("ShearX", shear),
            shear_y=of("ShearY", shear),
        )
        height, width = images.shape[2:]
        shears = operation <= OPERATIONS.index("ShearY")
        center = torch.where(shears, -0.5 * width, zero), torch.where(shears, -0.5 * height, zero)
        return warp(images, inverse_matrices(parameters, center), interpolation, None if fill is None else list(fill))

    return move


def _operating(operate: Callable[[Tensor, Tensor], Tensor], turn: Turn) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda images, positions: operate(images, turn.magnitude[positions])


def magnitude_tables(space: Any, bins: int, shape: tuple[int, ...]) -> dict[str, tuple[Tensor | None, bool]]:
    """Magnitudes by bin, float64 [bins], of each operation for images [n, C, H, W], and whether they have a sign."""
    tables: dict[str, tuple[Tensor | None, bool]] = {}
    for name, (magnitudes_of, signed) in space.items():
        magnitudes = magnitudes_of(bins, shape[2], shape[3])
        tables[name] = (None if magnitudes is None else magnitudes.double(), signed)
    return tables


def _index(uniform: Tensor, count: int) -> Tensor:
    return (uniform * count).long()


def drawn_turn(
    space: dict[str, tuple[Tensor | None, bool]], operation: Tensor, magnitude_bin: Tensor, sign: Tensor
) -> Turn:
    """Magnitudes of the operations drawn (int64 [n], index into the space); `sign` below a half turns them round."""
    magnitude = torch.zeros(len(operation), dtype=torch.float64)
    for number, (magnitudes, signed) in enumerate(space.values()):
        if magnitudes is None:
            continue
        chosen = operation == number
        values = magnitudes[magnitude_bin[chosen]]
        magnitude[chosen] = torch.where(sign[chosen] <= 0.5, -values, values) if signed else values
    return Turn(torch.tensor([OPERATIONS.index(name) for name in space])[operation], magnitude)
