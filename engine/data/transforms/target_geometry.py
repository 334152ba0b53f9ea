"""Boxes, masks and key points that would stay where they are while a transform moves their image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from ...config import Component
from ...errors import ConfigError, TorchdeckError
from ..datasets.samples import is_channels_first, read_sample, sample_name
from ..datasets.splits import Split
from .albumentations_steps import PREFIX, is_albumentations
from .mixing import inner_transforms

# Samples that are looked at: the first may have no box at all.
_LOOKED_AT = 8
# Modules of torchvision.transforms.v2 whose transforms move pixels.
_MOVING_MODULES = ("_geometry", "_auto_augment")

_BOXES, _KEY_POINTS, _MASKS = "BoundingBoxes", "KeyPoints", "Mask"
_NAMES = {
    _BOXES: ("box",),
    _KEY_POINTS: ("keypoint", "key_point", "landmark", "joint", "polygon", "contour", "corner"),
    _MASKS: ("mask", "segment"),
}
_EXAMPLES = {
    _BOXES: 'tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(height, width))',
    _KEY_POINTS: "tv_tensors.KeyPoints(points, canvas_size=(height, width))",
    _MASKS: "tv_tensors.Mask(mask)",
}
_BOX_SIDES, _POINT_SIDES = 4, (2, 3)


def refuse_left_behind(split: Split, specs: Sequence[Component], where: str) -> None:
    """Refuse a pipeline that moves images while plain boxes, masks or key points in their targets stay put.

    A few samples are looked at. torchvision's own tensors move along; a transform of the user's own may do anything.

    Args:
        split: what is transformed.
        specs: the pipeline.
        where: the config's key.

    Raises:
        ConfigError: names the sample, what stays put, the transform that moves the image, and what to return instead.
    """
    moving = next(_moving(specs), None)
    if not split.is_image or moving is None:
        return
    if split.targets is not None:
        if _are_boxes(split):
            raise ConfigError(_message(sample_name(split, 0), "", "four numbers", _BOXES, moving, where))
        return
    for position in range(min(_LOOKED_AT, len(split))):
        try:
            image, target = read_sample(split, position)
        except TorchdeckError:
            # The code that reads this sample reports the problem.
            continue
        for key, part in _parts(target):
            if kind := _kind(key, part, _size(image)):
                what = f"{type(part).__name__}{_shape_words(part)}"
                raise ConfigError(_message(sample_name(split, position), key, what, kind, moving, where))


def unmoved_values_note(split: Split, specs: Sequence[Component]) -> str:
    """What to know of several numbers as a target beside a transform that moves the image; empty without either."""
    moving = next(_moving(specs), None)
    if moving is None or not split.is_image or split.targets is None or split.targets.ndim != 2:
        return ""
    if split.targets.shape[1] < 2 or np.isin(split.targets, (0, 1)).all():
        return ""
    return (
        f"the {split.name} targets are {split.targets.shape[1]} numbers per sample, and {moving} moves only the "
        "pixels: if they are coordinates, return them as torchvision.tv_tensors.KeyPoints or BoundingBoxes"
    )


def _moving(specs: Sequence[Component]) -> Iterator[str]:
    """Names of the transforms that move pixels."""
    for spec in specs:
        if inner := inner_transforms(spec):
            yield from _moving(inner)
        elif is_albumentations(spec.name):
            import albumentations

            made = getattr(albumentations, spec.name.removeprefix(PREFIX), None)
            if isinstance(made, type) and issubclass(made, albumentations.DualTransform):
                yield spec.name
        elif getattr(v2, spec.name, object).__module__.endswith(_MOVING_MODULES):
            yield spec.name


def _parts(target: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Everything in a target that may say where something is, with its key."""
    if isinstance(target, Mapping):
        for name, item in target.items():
            yield from _parts(item, str(name))
    elif isinstance(target, tuple) or (isinstance(target, list) and not _is_plain_list(target)):
        for item in target:
            yield from _parts(item, key)
    else:
        yield key, target


def _is_plain_list(value: list[Any]) -> bool:
    """Whether a list is made of numbers, however nested, rather than of further targets."""
    return all(_is_plain_list(list(item)) if isinstance(item, list | tuple) else _is_number(item) for item in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number)


def _kind(key: str, part: Any, size: tuple[int, int]) -> str:
    """Which of torchvision's tensors a plain part should be; empty for what says nothing of places."""
    if isinstance(part, Image.Image):
        return _MASKS
    if not isinstance(part, list | np.ndarray | Tensor) or isinstance(part, tv_tensors.TVTensor):
        return ""
    shape = _shape(part)
    if shape[-2:] == size and len(shape) in (2, 3):
        return _MASKS
    named = next((kind for kind, names in _NAMES.items() if any(name in key.lower() for name in names)), "")
    if named and (len(shape) > 1 or shape in ((0,), (_BOX_SIDES,))):
        return named
    if len(shape) == 2 and shape[1] == _BOX_SIDES:
        return _BOXES
    is_points = (named or not key) and len(shape) in (2, 3) and shape[-1] in _POINT_SIDES
    return _KEY_POINTS if is_points else ""


def _shape(part: Any) -> tuple[int, ...]:
    if not isinstance(part, list):
        return tuple(part.shape)
    try:
        return np.asarray(part).shape
    except ValueError:
        # Polygons of different lengths: as many dimensions as it is nested.
        return (len(part), *_shape(list(part[0])))


def _shape_words(part: Any) -> str:
    return "" if isinstance(part, Image.Image) else f" of {list(_shape(part))}"


def _size(image: Any) -> tuple[int, int]:
    """Height and width."""
    if isinstance(image, Image.Image):
        return image.height, image.width
    shape = tuple(image.shape)
    return shape[-2:] if isinstance(image, Tensor) or len(shape) == 2 or is_channels_first(shape) else shape[:2]


def _are_boxes(split: Split) -> bool:
    """Whether four numbers a sample are left, top, right and bottom of a box in every one of them."""
    targets = split.targets
    if targets is None or targets.ndim != 2 or targets.shape[1] != _BOX_SIDES or targets.max() <= 1:
        return False
    left, top, right, bottom = targets.T
    height, width = _size(read_sample(split, 0)[0])
    is_inside = right.max() <= width and bottom.max() <= height and targets.min() >= 0
    return bool(is_inside and (right > left).all() and (bottom > top).all())


def _message(name: str, key: str, what: str, kind: str, moving: str, where: str) -> str:
    part = f"its target's {key!r} is" if key else "its target is"
    return (
        f"{where}: {moving} moves the image, and a target that says where something is would stay put: {name}: {part} "
        f"{what}. Return it as torchvision's {_EXAMPLES[kind]}, which moves along (from torchvision import "
        "tv_tensors), or move both in a transform of your own"
    )
