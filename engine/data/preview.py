"""Samples as they are and as the model sees them, at any epoch: a pure function, so a look changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.config import Component, DataConfig
from engine.data.batch_plan import BatchPlan, plan_batches
from engine.data.encoded import Head, find_head, is_encoded, transform_files
from engine.data.lanes import why_not_resident
from engine.data.resident import transform_images
from engine.data.sample_text import SampleText, describe, target_words
from engine.data.samples import read_sample
from engine.data.sources import DataSources
from engine.data.splits import Split
from engine.data.storage import DecodedSplit, read_image
from engine.data.transforms import SamplePipeline
from engine.data.workers import KeyedSamples, global_generators_kept


@dataclass(frozen=True)
class PreviewSample:
    """One sample before and after its transforms.

    Attributes:
        index: its position in the split.
        target: the name of its class, or its numbers.
        raw: uint8 [H, W, C], as it is stored.
        shown: uint8 [H', W', C], after the transforms, with Normalize undone for the eye.
    """

    index: int
    target: str
    raw: NDArray[np.uint8]
    shown: NDArray[np.uint8]


def preview(
    sources: DataSources, config: DataConfig, seed: int, epoch: int, indices: Sequence[int], train: bool
) -> list[PreviewSample]:
    """Images of the training or validation split, transformed exactly as in `epoch` of a run with this seed.

    Args:
        sources: the opened data.
        config: the `[data]` section: transforms, and which lane samples take.
        seed: of the run.
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
    inputs = _transformed(split, transforms, where, config.storage, seed, epoch, positions)
    mean, std = normalisation(transforms)
    samples = []
    for position, pixels in zip(positions, inputs, strict=True):
        image, target = read_image(split, position)
        words = target_words(target, sources.classes)
        samples.append(PreviewSample(position, words, shown_pixels(image), shown_pixels(pixels * std + mean)))
    return samples


def preview_text(
    sources: DataSources, config: DataConfig, seed: int, epoch: int, indices: Sequence[int], train: bool
) -> list[SampleText]:
    """What `preview` shows, in words, for samples that are no images: before they are collated."""
    split = sources.train if train else sources.validation
    transforms = config.train_transforms if train else config.eval_transforms
    where = "data.train_transforms" if train else "data.eval_transforms"
    keyed = KeyedSamples(split, SamplePipeline(transforms, where), seed)
    texts = []
    for position in indices:
        value, target = read_sample(split, position)
        with global_generators_kept():
            shown = keyed.sample(epoch, position)[0]
        texts.append(SampleText(position, target_words(target, sources.classes), describe(value), describe(shown)))
    return texts


def _transformed(
    split: Split,
    transforms: Sequence[Component],
    where: str,
    storage: str,
    seed: int,
    epoch: int,
    positions: list[int],
) -> list[Tensor]:
    """What the model's loader makes of the samples: float32 [C, H, W] each, in the lane that the loader takes."""
    plan = plan_batches(transforms)
    if storage != "loader" and isinstance(plan, BatchPlan):
        if not why_not_resident(split, plan):
            decoded = DecodedSplit(split, plan.baked, where)
            images = torch.stack([decoded.image(position) for position in positions])
            return list(transform_images(images, plan, seed, epoch, torch.tensor(positions)))
        if is_encoded(split) and isinstance(head := find_head(plan, has_one_size=False), Head):
            return list(transform_files(split, head, seed, epoch, positions, where))
    keyed = KeyedSamples(split, SamplePipeline(transforms, where), seed)
    with global_generators_kept():
        return [keyed.sample(epoch, position)[0] for position in positions]


def normalisation(transforms: Sequence[Component]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a pipeline that ends in Normalize, as [C, 1, 1]; 0 and 1 without it."""
    for spec in transforms:
        if spec.name == "Normalize":
            mean, std = (torch.tensor(spec.arguments[name], dtype=torch.float32) for name in ("mean", "std"))
            return mean[:, None, None], std[:, None, None]
    return torch.zeros(1, 1, 1), torch.ones(1, 1, 1)


def shown_pixels(pixels: Tensor) -> NDArray[np.uint8]:
    """A tensor [C, H, W], uint8 or float between 0 and 1, as uint8 [H, W, C]."""
    if pixels.dtype != torch.uint8:
        pixels = (pixels.float() * 255).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(pixels.movedim(0, -1).numpy())
