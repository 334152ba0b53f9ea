"""The random transforms that are done on whole batches, one class each.

`draw` gives every sample parameters of its own, with the distribution of torchvision's transform of the same name;
`apply` does with them what torchvision does.

Parameters are drawn in the machine's memory, so no device has to be waited for. Images are [n, C, H, W], uint8 or
float between 0 and 1; the result has the same dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional

from ..random_keys import SampleKeys
from . import color
from .affine import AffineParameters, Center, Interpolation, inverse_matrices, rotation, warp
from .blur import gaussian_blur
from .boxes import Boxes, crop_boxes, erase_boxes, erased
from .color import apply_to
from .resize import resized_crops
from .slices import joined, part_of, slices

Range = tuple[float, float]


class BatchStep(Protocol):
    """A transform of a batch."""

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Any:
        """Parameters of the samples with these keys; `shape` is that of the images, [n, C, H, W]."""
        ...

    def apply(self, images: Tensor, drawn: Any) -> Tensor:
        """The images after the transform with these parameters."""
        ...


@dataclass(frozen=True)
class FixedStep:
    """A transform that draws nothing: torchvision's own takes a batch."""

    transform: Callable[[Tensor], Tensor]

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> None:
        """Nothing."""

    def apply(self, images: Tensor, drawn: None) -> Tensor:
        """The transformed images."""
        return self.transform(images)


@dataclass(frozen=True)
class ChosenStep:
    """A transform without parameters that happens to a sample or doesn't: flips, RandomEqualize, RandomInvert, …"""

    slot: int
    probability: float
    transform: Callable[[Tensor], Tensor]

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Tensor:
        """Whether it happens, bool [n]."""
        return keys.happens(self.slot, self.probability)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The images, those chosen transformed."""
        return apply_to(images, drawn, lambda chosen, _: self._transformed(chosen))

    def _transformed(self, images: Tensor) -> Tensor:
        return joined(self.transform(images[part]) for part in slices(images))


@dataclass(frozen=True)
class CropStep:
    """RandomCrop: pad and cut out, as (height, width)."""

    slot: int
    size: tuple[int, int]
    pad: Callable[[Tensor], Tensor]

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """First row and column in the padded image, int64 [n] each."""
        height, width = self.pad(torch.empty((1, *shape[1:]), device="meta")).shape[2:]
        return (
            keys.integers(self.slot, height - self.size[0] + 1),
            keys.integers(self.slot + 1, width - self.size[1] + 1),
        )

    def apply(self, images: Tensor, drawn: tuple[Tensor, Tensor]) -> Tensor:
        """The crops."""
        windows = self.pad(images).unfold(2, self.size[0], 1).unfold(3, self.size[1], 1)
        device = images.device
        top, left = (offset.to(device) for offset in drawn)
        return windows[torch.arange(len(images), device=device), :, top, left]


@dataclass(frozen=True)
class ResizedCropStep:
    """RandomResizedCrop, bilinear and antialiased."""

    slot: int
    size: tuple[int, int]
    scale: Range
    ratio: Range

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Boxes:
        """The box of each sample."""
        return crop_boxes(keys, self.slot, (shape[2], shape[3]), self.scale, self.ratio)

    def apply(self, images: Tensor, drawn: Boxes) -> Tensor:
        """The boxes, resized."""
        return resized_crops(images, drawn, self.size)


@dataclass(frozen=True)
class ErasingStep:
    """RandomErasing with a fixed value, one or one per channel."""

    slot: int
    probability: float
    scale: Range
    ratio: Range
    value: tuple[float, ...]

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Boxes:
        """The box of each sample, of no size where nothing is erased."""
        happens = keys.happens(self.slot, self.probability)
        return erase_boxes(keys, self.slot + 1, happens, (shape[2], shape[3]), self.scale, self.ratio)

    def apply(self, images: Tensor, drawn: Boxes) -> Tensor:
        """The images with their boxes filled."""
        return erased(images, drawn, self.value)


@dataclass(frozen=True)
class BlurStep:
    """GaussianBlur; the kernel's size is (width, height), sigma in pixels."""

    slot: int
    kernel_size: tuple[int, int]
    sigma: Range

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Tensor:
        """Standard deviation, float64 [n]."""
        return keys.uniform(self.slot, *self.sigma)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The blurred images."""
        return gaussian_blur(images, self.kernel_size, drawn)


@dataclass(frozen=True)
class RotationStep:
    """RandomRotation without `expand`; the center is (x, y) in pixels from the top left, None for the middle."""

    slot: int
    degrees: Range
    interpolation: Interpolation
    center: Center | None
    fill: tuple[float, ...] | None

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Tensor:
        """Degrees counter-clockwise, float64 [n]."""
        return keys.uniform(self.slot, *self.degrees)

    def apply(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The rotated images."""
        matrices = inverse_matrices(rotation(drawn), _from_middle(self.center, images))
        return warp(images, matrices, self.interpolation, _listed(self.fill))


@dataclass(frozen=True)
class AffineStep:
    """RandomAffine. None means that it was not asked for; `translate` is a share of (width, height)."""

    slot: int
    degrees: Range
    translate: Range | None
    scale: Range | None
    shear: tuple[float, ...] | None
    interpolation: Interpolation
    center: Center | None
    fill: tuple[float, ...] | None

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> AffineParameters:
        """Parameters of each sample."""
        draws = keys.uniforms(self.slot, 6)
        height, width = shape[2:]
        zero = torch.zeros_like(draws[:, 0])

        def between(draw: int, low: float, high: float) -> Tensor:
            return low + (high - low) * draws[:, draw]

        across, down = (self.translate[0] * width, self.translate[1] * height) if self.translate else (0.0, 0.0)
        shear_y = self.shear[2:] if self.shear is not None and len(self.shear) == 4 else None
        return AffineParameters(
            angle=between(0, *self.degrees),
            translate_x=between(1, -across, across).round(),
            translate_y=between(2, -down, down).round(),
            scale=between(3, *self.scale) if self.scale else torch.ones_like(zero),
            shear_x=between(4, *self.shear[:2]) if self.shear else zero,
            shear_y=between(5, *shear_y) if shear_y else zero,
        )

    def apply(self, images: Tensor, drawn: AffineParameters) -> Tensor:
        """The warped images."""
        matrices = inverse_matrices(drawn, _from_middle(self.center, images))
        return warp(images, matrices, self.interpolation, _listed(self.fill))


@dataclass(frozen=True)
class Jitter:
    """Random parameters of ColorJitter for each sample.

    Attributes:
        order: int64 [n, 4], in which order brightness (0), contrast (1), saturation (2) and hue (3) are changed.
        factors: float64 [n, 4], of each of the four.
    """

    order: Tensor
    factors: Tensor


@dataclass(frozen=True)
class JitterStep:
    """ColorJitter; None leaves a property as it is."""

    slot: int
    ranges: tuple[Range | None, Range | None, Range | None, Range | None]

    def draw(self, keys: SampleKeys, shape: tuple[int, ...]) -> Jitter:
        """Order and factors of each sample."""
        draws = keys.uniforms(self.slot, 8)
        factors = [
            low + (high - low) * draws[:, number]
            for number, (low, high) in enumerate(limits or (1.0, 1.0) for limits in self.ranges)
        ]
        return Jitter(draws[:, 4:].argsort(dim=1), torch.stack(factors, dim=1))

    def apply(self, images: Tensor, drawn: Jitter) -> Tensor:
        """The adjusted images."""
        for turn in range(4):
            for number, adjust in enumerate(_ADJUSTMENTS):
                if self.ranges[number] is not None:
                    factors = drawn.factors[:, number]
                    images = apply_to(images, drawn.order[:, turn] == number, _adjusting(adjust, factors))
        return images


Adjustment = Callable[[Tensor, Tensor], Tensor]

_ADJUSTMENTS: tuple[Adjustment, ...] = (
    color.adjust_brightness,
    color.adjust_contrast,
    color.adjust_saturation,
    color.adjust_hue,
)


def _adjusting(adjust: Adjustment, factors: Tensor) -> Adjustment:
    return lambda images, positions: adjust(images, factors[positions])


def flip_step(slot: int, axis: Literal["horizontal", "vertical"], probability: float) -> ChosenStep:
    """RandomHorizontalFlip or RandomVerticalFlip."""
    flip = functional.horizontal_flip if axis == "horizontal" else functional.vertical_flip
    return ChosenStep(slot, probability, flip)


class StepRun:
    """Steps done to the pieces of a batch one after the other; parameters are drawn once, for the whole batch."""

    def __init__(self, steps: tuple[BatchStep, ...], keys: SampleKeys) -> None:
        """Begin with the keys of the whole batch, in the machine's memory."""
        self._steps, self._keys = steps, keys
        self._drawn: list[Any] = []

    def __call__(self, images: Tensor, part: slice) -> Tensor:
        """Apply every step to a piece; all pieces have the same size and dtype."""
        for number, step in enumerate(self._steps):
            if number == len(self._drawn):
                self._drawn.append(step.draw(self._keys, (len(self._keys.base), *images.shape[1:])))
            images = step.apply(images, part_of(self._drawn[number], part))
        return images


def _from_middle(center: Center | None, images: Tensor) -> Center:
    if center is None:
        return 0.0, 0.0
    height, width = images.shape[2:]
    return center[0] - width * 0.5, center[1] - height * 0.5


def _listed(fill: tuple[float, ...] | None) -> list[float] | None:
    return None if fill is None else list(fill)
