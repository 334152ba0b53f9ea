"""Which way a split's samples take to the model: a resident tensor, or a DataLoader; by arithmetic, with reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from engine.config import DataConfig
from engine.data.augment import window_store_bytes
from engine.data.batch_plan import BatchPlan, Unbatched, fixed_size, plan_batches
from engine.data.folder import FolderDataset
from engine.data.kept_tensors import KeptTensors, plan_kept
from engine.data.splits import ArrayDataset, Split
from engine.data.storage import DecodedSplit, Room, read_image
from engine.errors import ConfigError

Tier = Literal["device", "memory", "loader"]

# Samples of a foreign data set that are looked at before it is decoded.
_LOOKED_AT = 3

# On a CPU these transforms of larger images take less time one by one: at 128 pixels a side the batched forms are at
# least 1.1 times as fast as the DataLoader lane, at 224 pixels 0.8 to 0.9 times (benchmarks/data_path.py
# --operations). That holds for images in memory only; any other data set would be decoded again in every epoch.
_LARGEST_SIDE = 160
_ONE_BY_ONE = frozenset(
    {"AutoAugment", "ColorJitter", "RandAugment", "RandomErasing", "RandomResizedCrop", "TrivialAugmentWide"}
)


@dataclass(frozen=True)
class Lane:
    """The way of one split.

    Attributes:
        tier: "device" and "memory" hold a decoded tensor, "loader" makes samples one by one.
        plan: what is done to batches, or what is kept of samples that are no images; None in the "loader" tier.
        words: the tier and its size for people.
        notes: why a slower tier was taken.
        left: the room that remains for others.
    """

    tier: Tier
    plan: BatchPlan | KeptTensors | None
    words: str
    notes: list[str]
    left: Room


def choose_lane(split: Split, config: DataConfig, *, train: bool, device: torch.device, room: Room) -> Lane:
    """Choose where a split lives.

    Args:
        split: what is to be read.
        config: the `[data]` section: transforms, and the tier that the user asks for.
        train: whether the train transforms apply, else the eval transforms.
        device: where batches go.
        room: bytes that may be taken.

    Raises:
        ConfigError: the tier asked for can't hold this split.
        DataError: the sample that is looked at can't be read.
    """
    if config.storage == "loader":
        return Lane("loader", None, "DataLoader", [], room)
    transforms = config.train_transforms if train else config.eval_transforms
    if not split.is_image:
        kept = plan_kept(split, transforms)
        if isinstance(kept, str):
            return _through_loader(config, f"{kept}: samples go through a DataLoader", split, room)
        # While the parts are put together, they are there twice.
        return _kept(split, kept, 2 * len(split) * kept.sample_bytes, config, device, room)
    plan = plan_batches(transforms)
    reason = plan.reason if isinstance(plan, Unbatched) else why_not_resident(split, plan)
    if reason or isinstance(plan, Unbatched):
        return _through_loader(config, f"{reason}: samples go through a DataLoader", split, room)
    shape = DecodedSplit(split, plan.baked).image(0).shape
    channels, height, width = shape
    slower = faster_one_by_one(split, plan, max(height, width)) if device.type == "cpu" else ""
    if slower and config.storage == "auto":
        note = f"{slower} of {height}×{width} pixels takes less time one by one: samples go through a DataLoader"
        return _through_loader(config, note, split, room)
    size = len(split) * channels * height * width
    # While a random plan's padded copy is made, the decoded images are still there.
    needed = size + (window_store_bytes(plan, (len(split), channels, height, width)) if plan.moves else 0)
    return _kept(split, plan, needed, config, device, room)


def _kept(
    split: Split, plan: BatchPlan | KeptTensors, needed: int, config: DataConfig, device: torch.device, room: Room
) -> Lane:
    """Where a split that needs so many bytes is kept; the DataLoader where there is no room."""
    if device.type != "cpu" and config.storage in ("auto", "device"):
        if needed <= room.device:
            left = Room(room.device - needed, room.memory)
            return Lane("device", plan, f"{_bytes(needed)} in the memory of {device}", [], left)
        if config.storage == "device":
            raise ConfigError(
                f'data.storage = "device": the {split.name} split needs {_bytes(needed)}, and {_bytes(room.device)} '
                f'of {device} may be taken; use "auto"'
            )
    if needed <= room.memory:
        left = Room(room.device, room.memory - needed)
        return Lane("memory", plan, f"{_bytes(needed)} in memory", [], left)
    reason = f"the {split.name} split needs {_bytes(needed)} decoded, and {_bytes(room.memory)} of memory may be taken"
    return _through_loader(config, f"{reason}: samples go through a DataLoader", split, room)


def faster_one_by_one(split: Split, plan: BatchPlan, side: int) -> str:
    """The transform for whose sake images of `side` pixels take the DataLoader lane on a CPU; empty without one."""
    if side <= _LARGEST_SIDE or not isinstance(split.dataset, ArrayDataset):
        return ""
    return next((name for name in plan.names if name in _ONE_BY_ONE), "")


def why_not_resident(split: Split, plan: BatchPlan) -> str:
    """Why a split's images can't be decoded into one uint8 tensor; empty when they can."""
    if split.collate is not None:
        return "a collate_fn makes the batches"
    if isinstance(split.dataset, ArrayDataset):
        return ""
    if split.targets is None:
        return f"the {split.name} data have no list of targets"
    if isinstance(split.dataset, FolderDataset):
        return "" if fixed_size(plan) or split.dataset.has_one_size else _MIXED
    if not _repeats_itself(split):
        return "the data set gives another image when asked twice for the same sample"
    images = [read_image(split, position)[0] for position in range(min(_LOOKED_AT, len(split)))]
    if any(image.dtype != torch.uint8 for image in images):
        return f"samples are {str(images[0].dtype).removeprefix('torch.')} and not uint8"
    if not fixed_size(plan) and len({image.shape for image in images}) > 1:
        return _MIXED
    return ""


_MIXED = "images differ in size"


def _through_loader(config: DataConfig, note: str, split: Split, room: Room) -> Lane:
    if config.storage != "auto":
        reason = note.removesuffix(": samples go through a DataLoader")
        raise ConfigError(f'data.storage = "{config.storage}": {reason}; use "auto" or "loader"')
    return Lane("loader", None, "DataLoader", [note], room)


def _repeats_itself(split: Split) -> bool:
    """Whether the data set gives the same image twice: one with random transforms of its own can't be decoded once."""
    return all(
        _same(read_image(split, position)[0], read_image(split, position)[0])
        for position in range(min(_LOOKED_AT, len(split)))
    )


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
