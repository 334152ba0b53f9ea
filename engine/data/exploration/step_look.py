"""Prepare the batch of a step for a screen."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from ...config import RunConfig
from ...progress import Progress
from ...shapes import shape_words
from ..datasets.opened import opened_sources
from .batch_at_step import SeenBatch, batches_at, parts_of, pictures
from .findings import StepLook

_LEAST_SHARE = 0.005


def look_at_step(config: RunConfig, *, step: int, count: int, progress: Progress) -> StepLook:
    """The first batch of an optimizer step, made by the loader that the run itself uses.

    Args:
        config: the run.
        step: step, from 1 to the last step of the run.
        count: images at most.
        progress: called while data are read.

    Raises:
        ConfigError: no such step.
        TorchdeckError: the data can't be opened or read.
    """
    batches = batches_at(config, step, progress)
    batch = batches[0]
    of = f" (first of {len(batches)})" if len(batches) > 1 else ""
    words = [
        f"step {batch.step:,}: epoch {batch.epoch:,}, batch {batch.batch:,}{of} of {len(batch.samples):,} samples",
        *(
            f"{name or 'inputs'}: {shape_words(tuple(part.shape))} {str(part.dtype).removeprefix('torch.')}, "
            f"{part.float().min():.4g} to {part.float().max():.4g}, mean {part.float().mean():.4g}"
            for name, part in parts_of(batch.inputs)
            if part.numel()
        ),
    ]
    classes = opened_sources(config.data, config.seed).classes
    return StepLook(words, pictures(batch, config, count), _captions(batch, classes))


def _captions(batch: SeenBatch, classes: Sequence[str]) -> list[str]:
    # Shares of the classes are what MixUp and CutMix make of class indices.
    if batch.targets.ndim == 2 and batch.targets.shape[1] == len(classes) and batch.samples[0].target in classes:
        return [_shares(row, classes) for row in batch.targets]
    return [f"{sample.target} {sample.index}" for sample in batch.samples]


def _shares(row: Tensor, classes: Sequence[str]) -> str:
    shares = sorted(
        ((share, number) for number, share in enumerate(row.tolist()) if share > _LEAST_SHARE), reverse=True
    )
    return " ".join(f"{share:.0%} {classes[at]}" for share, at in shares)
