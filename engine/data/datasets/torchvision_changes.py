"""What the installed torchvision has changed since the catalogue of its data sets was written, in plain words."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable

from torchvision import datasets

from engine.data.datasets.torchvision_datasets import accepted_arguments
from engine.data.datasets.torchvision_table import ROWS, TorchvisionRow

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


def catalogue_changes(rows: Iterable[TorchvisionRow] = ROWS) -> list[str]:
    """Sentences on data sets that came, went, or are opened in another way; none where the catalogue fits."""
    rows = list(rows)
    changes = [change for row in rows for change in _changes_of(row)]
    there = {name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))}
    for name in sorted(there - OTHER_TASKS - {row.name for row in rows}):
        changes.append(f"{name} is new: it can be named as path/to/file.py:factory until the catalogue has it")
    return changes


def _changes_of(row: TorchvisionRow) -> list[str]:
    constructor = getattr(datasets, row.name, None)
    if constructor is None:
        return [f"{row.name} is gone"]
    taken = accepted_arguments(constructor)
    source = inspect.getsource(inspect.getmodule(constructor) or constructor)
    changes = []
    for part, settings in row.parts.items():
        for name, value in settings.items():
            if name not in taken:
                changes.append(f"{row.name} takes no argument '{name}' any more, which told its {part} part")
            elif isinstance(value, str) and f'"{value}"' not in source:
                changes.append(f"{row.name} has no {name} '{value}' any more, its {part} part")
    attribute = row.labels.partition(":")[0]
    classes = [cls for cls in constructor.__mro__ if cls.__module__.startswith("torchvision.datasets")]
    if attribute and not any(re.search(rf"self\.{attribute}\b", inspect.getsource(cls)) for cls in classes):
        changes.append(f"{row.name} has no attribute '{attribute}' any more: its labels can't be read without images")
    return changes
