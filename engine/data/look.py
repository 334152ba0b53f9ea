"""All that a screen shows of the data a config names, in one call."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.config import RunConfig
from engine.data.lanes import choose_lane
from engine.data.loaders import sample_shape
from engine.data.preview import PreviewSample, preview
from engine.data.sources import open_sources
from engine.data.storage import measure_room
from engine.data.summary import summarize
from engine.training.placement import choose_device

# Pixels of so many samples give channel statistics that are close enough for the eye within a fraction of a second.
_MEASURED_SAMPLES = 2000


@dataclass(frozen=True)
class DataLook:
    """What there is to see of a data set under a config.

    Attributes:
        classes: names by class index.
        class_counts: training samples of each class.
        train_size: training samples.
        validation_size: validation samples.
        input_shape: (C, H, W) after the eval transforms.
        mean: of each channel, in units of [0, 1], over at most 2,000 evenly spread training samples.
        std: likewise.
        measured: how many samples they are of.
        storage: where the training pixels would live, in words.
        storage_reason: the arithmetic behind that, in words.
        notes: what the user should know.
        samples: raw and transformed training samples.
    """

    classes: list[str]
    class_counts: list[int]
    train_size: int
    validation_size: int
    input_shape: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    measured: int
    storage: str
    storage_reason: str
    notes: list[str]
    samples: list[PreviewSample]


def look(config: RunConfig, *, epoch: int, count: int) -> DataLook:
    """Open the data and look at them.

    Args:
        config: the run.
        epoch: whose random draws the transformed samples show, from 0.
        count: how many samples, evenly spread over the training split.

    Raises:
        TorchdeckError: the data can't be opened or read, or the transforms don't fit them.
    """
    sources = open_sources(config.data, config.seed)
    device = choose_device(config.training.device)
    summary = summarize(sources.train, sources.classes, limit=_MEASURED_SAMPLES)
    lane = choose_lane(
        sources.train,
        config.data,
        train=True,
        device=device,
        room=measure_room(device, config.data.cache),
        num_workers=config.loader.num_workers,
    )
    positions = np.linspace(0, len(sources.train) - 1, min(count, len(sources.train))).astype(int).tolist()
    return DataLook(
        classes=sources.classes,
        class_counts=summary.counts,
        train_size=len(sources.train),
        validation_size=len(sources.validation),
        input_shape=sample_shape(sources, config),
        mean=summary.mean,
        std=summary.std,
        measured=summary.samples_read,
        storage=lane.words,
        storage_reason=lane.reason,
        notes=[*sources.notes, *lane.notes],
        samples=preview(sources, config.data, config.seed, epoch, positions, train=True),
    )
