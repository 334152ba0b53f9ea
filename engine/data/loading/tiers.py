"""Where a split's samples live: in one tensor, in files, or behind a DataLoader; by arithmetic, with reasons."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ...config import DataConfig
from ...errors import ConfigError
from ..batched.augment import window_store_bytes
from ..batched.batch_plan import BatchPlan, Unbatched, fixed_size, plan_batches
from ..datasets.images.folder import FolderDataset
from ..datasets.splits import ArrayDataset, Split
from ..datasets.targets import is_same_target
from .encoded import Head, encoded_words, find_head, is_encoded
from .kept_tensors import KeptTensors, plan_kept
from .storage import MEMORY_SHARE, DecodedSplit, Room, Unavailable, read_image

TierName = Literal["device", "memory", "mmap", "encoded", "loader"]

# Samples of a foreign data set that are looked at before it is decoded.
_LOOKED_AT = 3


@dataclass(frozen=True)
class Tier:
    """Where one split lives, and how its samples come from there.

    Attributes:
        name: "device" and "memory" hold a decoded tensor, "mmap" maps one from a file, "encoded" decodes files in
            every epoch, "loader" makes samples one by one.
        plan: what is done to batches, and in the "encoded" tier to single images before; or what is kept of samples
            that are not images; None in the "loader" tier.
        words: the tier and its size for people.
        notes: reasons for a slower tier.
        left: the room that remains for others.
        reason: calculation behind the choice, as text.
        parts: what is kept with its bytes; empty if samples are read anew in every epoch.
        allowed: bytes that may be used there; 0 if nothing is kept.
    """

    name: TierName
    plan: BatchPlan | Head | KeptTensors | None
    words: str
    notes: list[str]
    left: Room
    reason: str = ""
    parts: tuple[tuple[str, int], ...] = ()
    allowed: int = 0


def choose_tier(
    split: Split, config: DataConfig, *, train: bool, device: torch.device, room: Room, num_workers: int = 0
) -> Tier:
    """Choose where a split lives.

    Args:
        split: split to read.
        config: the `[data]` section: transforms, and the tier that the user asks for.
        train: whether the train transforms apply, else the eval transforms.
        device: where batches go.
        room: bytes that may be used.
        num_workers: `loader.num_workers`.

    Raises:
        ConfigError: the tier asked for can't hold this split.
        DataError: the sample that is looked at can't be read.
    """
    if config.storage == "loader":
        return Tier("loader", None, "DataLoader", [], room, 'data.storage = "loader"')
    transforms = config.train_transforms if train else config.eval_transforms
    if not split.is_image:
        kept = plan_kept(split, transforms)
        if isinstance(kept, Unavailable):
            return _through_loader(config, kept.reason, room)
        if config.storage in ("mmap", "encoded"):
            return _through_loader(config, f"{split.name} samples are not images", room)
        # While the parts are put together, they are there twice.
        needed = 2 * len(split) * kept.sample_bytes
        words = f"2 × {len(split):,} × {_bytes(kept.sample_bytes)} = {_bytes(needed)}"
        return _kept(split, kept, _Need(words, (("samples", needed),)), config, device, room, None)
    plan = plan_batches(transforms)
    if isinstance(plan, Unbatched):
        return _through_loader(config, plan.reason, room)
    encoded = _encoded_tier(split, plan, room, num_workers) if is_encoded(split) and split.collate is None else None
    if encoded is not None and config.storage == "encoded":
        if isinstance(encoded, Unavailable):
            raise ConfigError(f'data.storage = "encoded": {encoded.reason}; use "auto" or "loader"')
        return encoded
    if config.storage == "encoded":
        raise ConfigError(
            f'data.storage = "encoded": {split.name} samples are not a folder of image files; use "auto"'
        )
    if refusal := why_not_decoded_once(split, plan):
        if isinstance(encoded, Tier) and config.storage == "auto":
            return replace(encoded, reason=f"{refusal.reason} before their random crop, so they can't be decoded once")
        return _through_loader(config, refusal.reason, room)
    return _decoded_tier(split, plan, config, device, room, encoded)


def _decoded_tier(
    split: Split,
    plan: BatchPlan,
    config: DataConfig,
    device: torch.device,
    room: Room,
    encoded: Tier | Unavailable | None,
) -> Tier:
    """The nearest place with room for a split that can be decoded once; failing that, its encoded files."""
    channels, height, width = DecodedSplit(split, plan.baked).image(0).shape
    size = len(split) * channels * height * width
    # While a random plan's padded copy is made, the decoded images are still there.
    copies = window_store_bytes(plan, (len(split), channels, height, width)) if plan.moves else 0
    sum_of = f"{len(split):,} × {channels}×{height}×{width} bytes = {_bytes(size)}"
    total = f"{sum_of}, and {_bytes(copies)} of padded and mirrored copies" if copies else sum_of
    pixels = (("pixels", size),)
    mapped = Tier(
        "mmap",
        plan,
        f"{_bytes(size)} mapped from {config.cache}",
        [],
        replace(room, disk=room.disk - size),
        parts=pixels,
        allowed=room.disk,
    )
    if config.storage == "mmap":
        return replace(mapped, reason=f"{sum_of} on disk")
    parts = (*pixels, ("padded", copies)) if copies else pixels
    need = _Need(total, parts)
    return _kept(split, plan, need, config, device, room, _elsewhere(config, need, size, room, mapped, encoded))


@dataclass(frozen=True)
class _Need:
    """Bytes that a split takes in memory, how they come about, and what they consist of."""

    words: str
    parts: tuple[tuple[str, int], ...]

    @property
    def bytes(self) -> int:
        return sum(size for _, size in self.parts)


def _kept(
    split: Split,
    plan: BatchPlan | KeptTensors,
    need: _Need,
    config: DataConfig,
    device: torch.device,
    room: Room,
    elsewhere: Tier | None,
) -> Tier:
    """Where a split is kept: on the device, in memory, or else in `elsewhere`; without that, the DataLoader."""
    if device.type != "cpu" and config.storage in ("auto", "device"):
        if need.bytes <= room.device:
            reason = f"{need.words}; {_bytes(room.device)} of {device} may be used (40 % of what is free)"
            left = replace(room, device=room.device - need.bytes)
            where = f"{_bytes(need.bytes)} in the memory of {device}"
            return Tier("device", plan, where, [], left, reason, need.parts, room.device)
        if config.storage == "device":
            raise ConfigError(
                f'data.storage = "device": the {split.name} split needs {_bytes(need.bytes)}, and '
                f'{_bytes(room.device)} of {device} may be used; use "auto"'
            )
    if need.bytes <= room.memory:
        left = replace(room, memory=room.memory - need.bytes)
        words = f"{_bytes(need.bytes)} in memory"
        return Tier("memory", plan, words, [], left, f"{need.words}; {_memory_words(room)}", need.parts, room.memory)
    if elsewhere is not None:
        return elsewhere
    reason = (
        f"the {split.name} split needs {_bytes(need.bytes)} decoded, and {_bytes(room.memory)} of memory may be used"
    )
    return _through_loader(config, reason, room)


def _elsewhere(
    config: DataConfig, need: _Need, size: int, room: Room, mapped: Tier, encoded: Tier | Unavailable | None
) -> Tier | None:
    """Where images go that don't fit into memory: mapped from a file, or decoded from their own in every epoch."""
    if config.storage != "auto":
        return None
    reason = f"{need.words}; {_memory_words(room)}"
    if size <= room.disk:
        if size <= room.memory / MEMORY_SHARE or not isinstance(encoded, Tier):
            disk = f"{_bytes(room.disk)} of the disk of {config.cache} may be used (half of its free space)"
            return replace(mapped, reason=f"{reason}; {disk}")
        # Read in random order every epoch, from a disk: the smaller files win.
        return replace(encoded, reason=f"{reason}; memory could not hold the whole file")
    if isinstance(encoded, Tier):
        return replace(encoded, reason=f"{reason}; the disk of {config.cache} has too little space")
    return None


def _memory_words(room: Room) -> str:
    return f"{_bytes(room.memory)} of memory may be used (half of what is available)"


def _encoded_tier(split: Split, plan: BatchPlan, room: Room, num_workers: int) -> Tier | Unavailable:
    """The tier of files decoded in every epoch, or why there is none."""
    assert isinstance(split.dataset, FolderDataset)
    head = find_head(plan, has_one_size=split.dataset.has_one_size)
    if isinstance(head, Unavailable):
        return head
    return Tier("encoded", head, encoded_words(num_workers), [], room, 'data.storage = "encoded"')


def why_not_decoded_once(split: Split, plan: BatchPlan) -> Unavailable | None:
    """Why a split's images can't be decoded into one uint8 tensor; None when they can."""
    if split.collate is not None:
        return Unavailable("a collate_fn makes the batches")
    if isinstance(split.dataset, ArrayDataset):
        return None
    if split.targets is None:
        return Unavailable(f"the {split.name} data have no list of targets")
    if isinstance(split.dataset, FolderDataset):
        return None if fixed_size(plan) or split.dataset.has_one_size else _MIXED
    if not _repeats_itself(split):
        return Unavailable("the data set returns different images or targets for the same index")
    images = [read_image(split, position)[0] for position in range(min(_LOOKED_AT, len(split)))]
    if any(image.dtype != torch.uint8 for image in images):
        return Unavailable(f"samples are {str(images[0].dtype).removeprefix('torch.')} and not uint8")
    if not fixed_size(plan) and len({image.shape for image in images}) > 1:
        return _MIXED
    return None


_MIXED = Unavailable("images differ in size")


def _through_loader(config: DataConfig, reason: str, room: Room) -> Tier:
    if config.storage != "auto":
        raise ConfigError(f'data.storage = "{config.storage}": {reason}; use "auto" or "loader"')
    note = f"{reason}: samples go through a DataLoader"
    return Tier("loader", None, "DataLoader", [note], room, note)


def _repeats_itself(split: Split) -> bool:
    """Whether a sample is the same twice: a data set with random transforms of its own can't be decoded once."""
    for position in range(min(_LOOKED_AT, len(split))):
        (image, target), (again, _) = read_image(split, position), read_image(split, position)
        if not _same(image, again) or (
            split.targets is not None and not is_same_target(target, split.targets[position])
        ):
            return False
    return True


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _bytes(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
