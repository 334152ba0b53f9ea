"""Samples as they are and as the model sees them, at any epoch: a pure function, so a look changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from ...config import Component, DataConfig
from ...randomness import generators_kept
from ..batched.batch_plan import BatchPlan, plan_batches
from ..datasets.samples import as_tensors, read_sample
from ..datasets.sources import DataSources
from ..datasets.splits import Split
from ..loading.encoded import Head, find_head, is_encoded, transform_files
from ..loading.in_memory_loader import transform_images
from ..loading.storage import DecodedSplit, read_image
from ..loading.tiers import why_not_decoded_once
from ..loading.workers import KeyedSamples
from ..transforms.pipeline import SamplePipeline
from .findings import PreviewSample, SampleText
from .image_bytes import eye_image, middle_slice
from .sample_text import describe, target_words


def preview(
    sources: DataSources, config: DataConfig, seed: int, epoch: int, indices: Sequence[int], train: bool
) -> list[PreviewSample]:
    """Images of the training or validation split, transformed exactly as in `epoch` of a run with this seed.

    Args:
        sources: the opened data.
        config: the `[data]` section: transforms, and which tier samples take.
        seed: seed of the run.
        epoch: 0-based.
        indices: positions in the split.
        train: whether the training split with its transforms is shown, else the validation split.

    Raises:
        ConfigError, DataError, UserCodeError: a sample that can't be read or transformed.
    """
    split = sources.train if train else sources.validation
    transforms = config.train_transforms if train else config.eval_transforms
    where = "data.train_transforms" if train else "data.eval_transforms"
    positions = [index for index in indices if 0 <= index < len(split)]
    if not positions:
        return []
    tier = sample_tier(split, transforms, config.storage)
    inputs = transform_samples(split, transforms, where, seed, epoch, positions, tier=tier)
    samples = []
    for position, pixels in zip(positions, inputs, strict=True):
        image, target = read_image(split, position)
        words = target_words(target, sources.classes)
        samples.append(PreviewSample(position, words, eye_image(image), eye_image(denormalized(pixels, transforms))))
    return samples


def preview_text(
    sources: DataSources, config: DataConfig, seed: int, epoch: int, indices: Sequence[int], train: bool
) -> list[SampleText]:
    """Text version of `preview` for samples other than images, before collation. Volumes have a slice."""
    split = sources.train if train else sources.validation
    transforms = config.train_transforms if train else config.eval_transforms
    where = "data.train_transforms" if train else "data.eval_transforms"
    keyed = KeyedSamples(split, SamplePipeline(transforms, where), seed)
    texts = []
    for position in indices:
        value, target = read_sample(split, position)
        with generators_kept():
            shown = keyed.sample(epoch, position)[0]
        words = target_words(target, sources.classes)
        slices = middle_slice(as_tensors(value)), middle_slice(as_tensors(shown))
        texts.append(SampleText(position, words, describe(value), describe(shown), *slices))
    return texts


SampleTier = Literal["batches", "files", "samples"]
"""How samples are made: batches of decoded images, encoded files then batches, or one by one."""


def sample_tier(split: Split, transforms: Sequence[Component], storage: str) -> SampleTier:
    """How a run on this machine makes the split's samples.

    Args:
        split: split to read.
        transforms: the pipeline.
        storage: `data.storage`.
    """
    plan = plan_batches(transforms)
    if storage == "loader" or not isinstance(plan, BatchPlan):
        return "samples"
    if why_not_decoded_once(split, plan):
        can_encode = is_encoded(split) and isinstance(find_head(plan, has_one_size=False), Head)
        return "files" if can_encode else "samples"
    return "batches"


def transform_samples(
    split: Split,
    transforms: Sequence[Component],
    where: str,
    seed: int,
    epoch: int,
    positions: list[int],
    *,
    tier: SampleTier,
) -> list[Tensor]:
    """What the model's loader makes of the samples in one of its tiers: float32 [C, H, W] each."""
    plan = plan_batches(transforms)
    if tier == "files" and isinstance(plan, BatchPlan):
        head = find_head(plan, has_one_size=False)
        if isinstance(head, Head):
            return list(transform_files(split, head, seed, epoch, positions, where))
    if tier == "batches" and isinstance(plan, BatchPlan):
        decoded = DecodedSplit(split, plan.baked, where)
        images = torch.stack([decoded.image(position) for position in positions])
        return list(transform_images(images, plan, seed, epoch, torch.tensor(positions)))
    keyed = KeyedSamples(split, SamplePipeline(transforms, where), seed)
    with generators_kept():
        return [keyed.sample(epoch, position)[0] for position in positions]


def denormalized(pixels: Tensor, transforms: Sequence[Component]) -> Tensor:
    """Pixels [C, H, W] with a Normalize among the transforms undone."""
    for spec in transforms:
        if spec.name == "Normalize":
            mean, std = (torch.tensor(spec.arguments[name], dtype=torch.float32) for name in ("mean", "std"))
            return pixels * std[:, None, None] + mean[:, None, None]
    return pixels
