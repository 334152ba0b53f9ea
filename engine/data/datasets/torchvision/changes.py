"""Differences between the installed torchvision and the catalog of its data sets, in plain words."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable

from torchvision import datasets

from .opening import accepted_arguments
from .row import TorchvisionRow
from .table import ROWS

# Besides classification of single images: boxes, masks, captions, video, pairs, optical flow; and base classes.
OTHER_TASKS = frozenset(
    [
        "CREStereo",
        "CarlaStereo",
        "Cityscapes",
        "CocoCaptions",
        "CocoDetection",
        "DatasetFolder",
        "ETH3DStereo",
        "FallingThingsStereo",
        "Flickr30k",
        "Flickr8k",
        "FlyingChairs",
        "FlyingThings3D",
        "HD1K",
        "HMDB51",
        "ImageFolder",
        "InStereo2k",
        "Kinetics",
        "Kitti",
        "Kitti2012Stereo",
        "Kitti2015Stereo",
        "KittiFlow",
        "LFWPairs",
        "LSUNClass",
        "Middlebury2014Stereo",
        "MovingMNIST",
        "PhotoTour",
        "SBDataset",
        "SBU",
        "SceneFlowStereo",
        "Sintel",
        "SintelStereo",
        "UCF101",
        "VOCDetection",
        "VOCSegmentation",
        "VisionDataset",
        "WIDERFace",
    ]
)


def catalog_changes(rows: Iterable[TorchvisionRow] = ROWS) -> list[str]:
    """Sentences about data sets that were added, removed or changed; none if the catalog is up to date."""
    rows = list(rows)
    changes = [change for row in rows for change in _changes_of(row)]
    there = {name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))}
    for name in sorted(there - OTHER_TASKS - {row.name for row in rows}):
        changes.append(f"{name} is new: use it as path/to/file.py:factory until the catalog has it")
    return changes


def _changes_of(row: TorchvisionRow) -> list[str]:
    constructor = getattr(datasets, row.name, None)
    if constructor is None:
        return [f"{row.name} was removed"]
    taken = accepted_arguments(constructor)
    source = inspect.getsource(inspect.getmodule(constructor) or constructor)
    changes = []
    for part, settings in row.parts.items():
        for name, value in settings.items():
            if name not in taken:
                changes.append(f"{row.name} no longer accepts the argument '{name}', which selected its {part} split")
            elif isinstance(value, str) and f'"{value}"' not in source:
                changes.append(f"{row.name} no longer has {name} '{value}', its {part} split")
    if row.labels and not _has_attribute(constructor, row.labels):
        changes.append(f"{row.name} no longer has the attribute '{row.labels}': its labels can't be read alone")
    if row.images and not _has_attribute(constructor, row.images):
        changes.append(f"{row.name} no longer has the attribute '{row.images}': its files can't be checked")
    return changes


def _has_attribute(constructor: type, attribute: str) -> bool:
    """Whether a class or its bases in torchvision set an attribute; what follows a ":" in its name doesn't count."""
    name = attribute.partition(":")[0]
    # Of modules: to find a class in its module takes many times as long.
    modules = {cls.__module__ for cls in constructor.__mro__ if cls.__module__.startswith("torchvision.datasets")}
    return any(re.search(rf"self\.{name}\b", inspect.getsource(sys.modules[module])) for module in modules)
