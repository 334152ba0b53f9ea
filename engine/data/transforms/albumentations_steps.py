"""Transforms of the albumentations package in a pipeline, as `albumentations.NAME`, where the package is installed.

The package is an extra, at its last release under the MIT license (2.0); its successor is under the AGPL and is not
used. Every sample has random numbers of its own: the transform's generator is seeded from torch's, which is seeded
for each sample.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...config import Component
from ...errors import ConfigError, did_you_mean
from ...machine.installation import install_command
from ...user_code import check_arguments
from .entries import TransformEntry, transform_entry

PREFIX = "albumentations."
_SEEDS = 1 << 32

# They need boxes, masks, other images or a function beside the image, or make something else of it.
_NEEDS_MORE = frozenset(
    {
        "AtLeastOneBBoxRandomCrop",
        "BBoxSafeRandomCrop",
        "CropNonEmptyMaskIfExists",
        "CubicSymmetry",
        "FDA",
        "HistogramMatching",
        "Lambda",
        "MaskDropout",
        "Mosaic",
        "OverlayElements",
        "PixelDistributionAdaptation",
        "RandomCropNearBBox",
        "RandomSizedBBoxSafeCrop",
        "TextImage",
        "ToTensorV2",
    }
)


def is_albumentations(name: str) -> bool:
    """Whether a pipeline's step is one of that package's."""
    return name.startswith(PREFIX)


class AlbumentationsStep:
    """One transform of albumentations, from a tensor [C, H, W], uint8 or float32, to another."""

    def __init__(self, transform: Any) -> None:
        self._transform = transform

    def __call__(self, pixels: Tensor) -> Tensor:
        """Transform one image with random numbers that follow from torch's generator."""
        self._transform.set_random_seed(int(torch.randint(_SEEDS, ())))
        array = np.ascontiguousarray(pixels.as_subclass(Tensor).movedim(-3, -1).numpy())
        changed = np.asarray(self._transform(image=array)["image"])
        if changed.ndim == 2:
            changed = changed[:, :, None]
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(changed, -1, 0)))


def list_albumentations() -> list[TransformEntry]:
    """Every transform of single images that the package has, sorted; none where it is not installed."""
    if importlib.util.find_spec("albumentations") is None:
        return []
    return [
        transform_entry(f"{PREFIX}{name}", cls, inspect.signature(cls).parameters.values())
        for name, cls in sorted(_known().items())
        if name not in _NEEDS_MORE and not name.endswith("3D")
    ]


def make_albumentations_step(spec: Component, where: str) -> AlbumentationsStep:
    """A step of the pipeline from its name and arguments.

    Raises:
        ConfigError: the package is not installed, it has no such transform of single images, or an argument is wrong.
    """
    if importlib.util.find_spec("albumentations") is None:
        raise ConfigError(
            f"{where}: {spec.name} needs the package albumentations: {install_command(extra='albumentations')}"
        )
    known = _known()
    name = spec.name.removeprefix(PREFIX)
    if name not in known:
        raise ConfigError(f"{where}: albumentations has no transform '{name}' of images{did_you_mean(name, known)}")
    arguments = {key: _as_tuple(value) for key, value in spec.arguments.items()}
    check_arguments(known[name], arguments, f"{where}: {spec.name}")
    try:
        with warnings.catch_warnings():
            # What it would only warn of and then ignore.
            warnings.simplefilter("error", UserWarning)
            return AlbumentationsStep(known[name](**arguments))
    except (TypeError, ValueError, UserWarning) as error:
        lines = [line.strip() for line in str(error).splitlines() if "errors.pydantic" not in line]
        raise ConfigError(f"{where}: {spec.name}: {' '.join(lines)}") from error


def _as_tuple(value: Any) -> Any:
    """TOML's lists as the tuples that the package asks for."""
    return tuple(_as_tuple(item) for item in value) if isinstance(value, list | tuple) else value


def _known() -> dict[str, Any]:
    """The package's transforms by name."""
    # It would ask the network for a newer version of itself.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    base = albumentations.BasicTransform
    return {
        name: found
        for name, found in vars(albumentations).items()
        if isinstance(found, type) and issubclass(found, base) and not name.endswith("Transform")
    }
