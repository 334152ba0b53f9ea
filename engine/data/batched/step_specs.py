"""From a transform of the config to its batched form, or why it has none."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, cast

from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from ...config import Component
from ..transforms.pipeline import as_component, make_transform
from .affine import Center, Interpolation
from .aug_mix import AugMixStep
from .auto_augment import AutoAugmentStep, RandAugmentStep, TrivialAugmentStep
from .batch_steps import (
    AffineStep,
    BatchStep,
    BlurStep,
    ChosenStep,
    CropStep,
    ErasingStep,
    FixedStep,
    JitterStep,
    Range,
    ResizedCropStep,
    RotationStep,
    flip_step,
)
from .color import inverted_from
from .containers import ApplyStep, ChoiceStep, OrderStep
from .distortion import ElasticStep, PerspectiveStep
from .noise import NoiseStep
from .photometric import DistortStep, PermutationStep

# Numbers of draws that one transform may use.
SLOTS = 2


class NoBatchedForm(Exception):
    """A transform, or one of its parameters, that is done sample by sample; the text says which."""


def make_step(spec: Component, slot: int, is_float: bool) -> BatchStep:
    """The batched form of a random transform.

    Args:
        spec: the transform; it has passed `check_transforms`.
        slot: number of its first random draw.
        is_float: whether pixels are floats already when it is their turn.

    Raises:
        NoBatchedForm: there is none.
    """
    if spec.name in ("RandomApply", "RandomChoice", "RandomOrder"):
        return _container(spec, slot, is_float)
    build = _identity if spec.name == "Identity" else STEPS.get(spec.name)
    if build is None:
        raise NoBatchedForm(f"{spec.name} has no batched form")
    return build(cast(Any, make_transform(spec, spec.name)), slot, is_float)


def _container(spec: Component, slot: int, is_float: bool) -> BatchStep:
    arguments = spec.arguments
    specs = [as_component(item, spec.name) for item in arguments["transforms"]]
    for inner in specs:
        if inner.name not in _KEEPS_SIZE:
            raise NoBatchedForm(f"{spec.name} of {inner.name} has no batched form")
    steps = tuple(make_step(inner, 0, is_float) for inner in specs)
    if spec.name == "RandomApply":
        return ApplyStep(slot, steps, float(arguments.get("p", 0.5)))
    if spec.name == "RandomChoice":
        return ChoiceStep(slot, steps, tuple(map(float, arguments.get("p") or [1.0] * len(steps))))
    return OrderStep(slot, steps)


def _identity(transform: Any, slot: int, is_float: bool) -> BatchStep:
    return FixedStep(_unchanged)


def _unchanged(images: Tensor) -> Tensor:
    return images


def _flip(axis: Any) -> Callable[[Any, int, bool], BatchStep]:
    return lambda transform, slot, is_float: flip_step(slot, axis, transform.p)


def _crop(transform: Any, slot: int, is_float: bool) -> BatchStep:
    if isinstance(transform.fill, dict):
        raise NoBatchedForm("RandomCrop with a fill for each type has no batched form")
    height, width = transform.size
    return CropStep(slot, (height, width), functools.partial(_padded, transform))


def _padded(transform: Any, images: Tensor) -> Tensor:
    """RandomCrop's padding: its own, then what is missing on both sides."""
    left, right, top, bottom = transform.padding or (0, 0, 0, 0)
    height, width = transform.size
    if transform.pad_if_needed:
        down = max(height - (images.shape[2] + top + bottom), 0)
        across = max(width - (images.shape[3] + left + right), 0)
        left, right, top, bottom = left + across, right + across, top + down, bottom + down
    if not any((left, right, top, bottom)):
        return images
    padding = [left, top, right, bottom]
    return functional.pad(images, padding, fill=transform.fill, padding_mode=transform.padding_mode)


def _resized_crop(transform: Any, slot: int, is_float: bool) -> BatchStep:
    if _mode(transform) != "bilinear":
        raise NoBatchedForm(f"RandomResizedCrop with {_mode(transform)} interpolation has no batched form")
    if not transform.antialias:
        raise NoBatchedForm("RandomResizedCrop without antialias has no batched form")
    height, width = transform.size
    return ResizedCropStep(slot, (height, width), _range(transform.scale), _range(transform.ratio))


def _erasing(transform: Any, slot: int, is_float: bool) -> BatchStep:
    if transform.value is None:
        raise NoBatchedForm('RandomErasing with value = "random" has no batched form')
    scale, ratio = _range(transform.scale), _range(transform.ratio)
    return ErasingStep(slot, transform.p, scale, ratio, tuple(transform.value))


def _blur(transform: Any, slot: int, is_float: bool) -> BatchStep:
    width, height = transform.kernel_size
    return BlurStep(slot, (width, height), _range(transform.sigma))


def _rotation(transform: Any, slot: int, is_float: bool) -> BatchStep:
    if transform.expand:
        raise NoBatchedForm("RandomRotation with expand has no batched form")
    degrees = _range(transform.degrees)
    if degrees[0] == degrees[1]:
        raise NoBatchedForm("RandomRotation by one angle has no batched form")
    return RotationStep(slot, degrees, _interpolation(transform), _center(transform), _fill(transform))


def _affine(transform: Any, slot: int, is_float: bool) -> BatchStep:
    return AffineStep(
        slot,
        _range(transform.degrees),
        _range(transform.translate) if transform.translate is not None else None,
        _range(transform.scale) if transform.scale is not None else None,
        tuple(map(float, transform.shear)) if transform.shear is not None else None,
        _interpolation(transform),
        _center(transform),
        _fill(transform),
    )


def _jitter(transform: Any, slot: int, is_float: bool) -> BatchStep:
    return JitterStep(slot, (transform.brightness, transform.contrast, transform.saturation, transform.hue))


def _trivial_augment(transform: Any, slot: int, is_float: bool) -> BatchStep:
    _uint8_only(transform, is_float)
    return TrivialAugmentStep(slot, transform.num_magnitude_bins, _interpolation(transform), _fill(transform))


def _rand_augment(transform: Any, slot: int, is_float: bool) -> BatchStep:
    _uint8_only(transform, is_float)
    return RandAugmentStep(
        slot,
        transform.num_ops,
        transform.magnitude,
        transform.num_magnitude_bins,
        _interpolation(transform),
        _fill(transform),
    )


def _auto_augment(transform: Any, slot: int, is_float: bool) -> BatchStep:
    _uint8_only(transform, is_float)
    return AutoAugmentStep(slot, v2.AutoAugmentPolicy(transform.policy), _interpolation(transform), _fill(transform))


def _happening(transform: Any, slot: int, is_float: bool) -> BatchStep:
    """The transforms that draw nothing but whether they happen: torchvision's own functions take a batch."""
    return ChosenStep(slot, transform.p, functools.partial(_happened, transform))


def _solarize(transform: Any, slot: int, is_float: bool) -> BatchStep:
    if is_float:
        return _happening(transform, slot, is_float)
    return ChosenStep(slot, transform.p, functools.partial(inverted_from, level=math.ceil(transform.threshold)))


def _happened(transform: Any, images: Tensor) -> Tensor:
    # What these transforms have for parameters, they have at construction, except for the image's channels.
    changed: Tensor = transform.transform(images, transform.make_params([images]))
    return changed


def _perspective(transform: Any, slot: int, is_float: bool) -> BatchStep:
    interpolation, fill = _interpolation(transform), _fill(transform)
    return PerspectiveStep(slot, transform.p, float(transform.distortion_scale), interpolation, fill)


def _elastic(transform: Any, slot: int, is_float: bool) -> BatchStep:
    alpha, sigma = _range(transform.alpha), _range(transform.sigma)
    return ElasticStep(slot, alpha, sigma, _interpolation(transform), _fill(transform))


def _noise(transform: Any, slot: int, is_float: bool) -> BatchStep:
    return NoiseStep(slot, float(transform.mean), float(transform.sigma), bool(transform.clip))


def _permutation(transform: Any, slot: int, is_float: bool) -> BatchStep:
    return PermutationStep(slot)


def _distort(transform: Any, slot: int, is_float: bool) -> BatchStep:
    ranges = (transform.brightness, transform.contrast, transform.saturation, transform.hue)
    brightness, contrast, saturation, hue = map(_range, ranges)
    return DistortStep(slot, (brightness, contrast, saturation, hue), transform.p)


def _aug_mix(transform: Any, slot: int, is_float: bool) -> BatchStep:
    _uint8_only(transform, is_float)
    return AugMixStep(
        slot,
        transform.severity,
        transform.mixture_width,
        transform.chain_depth,
        float(transform.alpha),
        bool(transform.all_ops),
        _interpolation(transform),
        _fill(transform),
    )


STEPS: dict[str, Callable[[Any, int, bool], BatchStep]] = {
    "RandomHorizontalFlip": _flip("horizontal"),
    "RandomVerticalFlip": _flip("vertical"),
    "RandomCrop": _crop,
    "RandomResizedCrop": _resized_crop,
    "RandomErasing": _erasing,
    "GaussianBlur": _blur,
    "RandomRotation": _rotation,
    "RandomAffine": _affine,
    "ColorJitter": _jitter,
    "TrivialAugmentWide": _trivial_augment,
    "RandAugment": _rand_augment,
    "AutoAugment": _auto_augment,
    "RandomGrayscale": _happening,
    "RandomInvert": _happening,
    "RandomPosterize": _happening,
    "RandomSolarize": _solarize,
    "RandomAutocontrast": _happening,
    "RandomEqualize": _happening,
    "RandomAdjustSharpness": _happening,
    "RandomPerspective": _perspective,
    "ElasticTransform": _elastic,
    "GaussianNoise": _noise,
    "RandomChannelPermutation": _permutation,
    "RandomPhotometricDistort": _distort,
    "AugMix": _aug_mix,
}
# What RandomApply, RandomChoice and RandomOrder may hold: some samples of a batch may go through it and others not.
_KEEPS_SIZE = frozenset(STEPS) - {"RandomCrop", "RandomResizedCrop"} | {
    "Identity",
    "RandomApply",
    "RandomChoice",
    "RandomOrder",
}


def _uint8_only(transform: Any, is_float: bool) -> None:
    if is_float:
        raise NoBatchedForm(f"{type(transform).__name__} after scaling has no batched form")


def _mode(transform: Any) -> str:
    return str(v2.InterpolationMode(transform.interpolation).value)


def _interpolation(transform: Any) -> Interpolation:
    mode = _mode(transform)
    if mode not in ("nearest", "bilinear"):
        raise NoBatchedForm(f"{type(transform).__name__} with {mode} interpolation has no batched form")
    return cast(Interpolation, mode)


def _center(transform: Any) -> Center | None:
    return None if transform.center is None else (float(transform.center[0]), float(transform.center[1]))


def _fill(transform: Any) -> tuple[float, ...] | None:
    fill = transform.fill
    if isinstance(fill, dict):
        raise NoBatchedForm(f"{type(transform).__name__} with a fill for each type has no batched form")
    if fill is None:
        return None
    return (float(fill),) if isinstance(fill, int | float) else tuple(map(float, fill))


def _range(values: Any) -> Range:
    low, high = values
    return float(low), float(high)
