"""All that a screen shows of the data a config names, in one call."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.config import RunConfig
from engine.data.collation import with_collate
from engine.data.lanes import choose_lane
from engine.data.loaders import sample_shape
from engine.data.preview import PreviewSample, preview, preview_text
from engine.data.sample_text import SampleText
from engine.data.sources import open_sources
from engine.data.storage import measure_room
from engine.data.summary import class_counts, summarize
from engine.shapes import Shape
from engine.training.placement import choose_device

# Pixels of so many samples give channel statistics that are close enough for the eye within a fraction of a second.
_MEASURED_SAMPLES = 2000


@dataclass(frozen=True)
class DataLook:
    """What there is to see of a data set under a config.

    Attributes:
        classes: names by class index.
        class_counts: training samples of each class; empty where targets are no classes.
        train_size: training samples.
        validation_size: validation samples.
        input_shape: of a sample after the eval transforms; (C, H, W) for images.
        mean: of each channel, in units of [0, 1], over at most 2,000 evenly spread training samples; empty for samples
            that are no images.
        std: likewise.
        measured: how many samples they are of.
        storage: where the training pixels would live, in words.
        storage_reason: the arithmetic behind that, in words.
        notes: what the user should know.
        samples: raw and transformed training samples, where they are images.
        texts: the same in words, where they are none.
    """

    classes: list[str]
    class_counts: list[int]
    train_size: int
    validation_size: int
    input_shape: Shape
    mean: tuple[float, ...]
    std: tuple[float, ...]
    measured: int
    storage: str
    storage_reason: str
    notes: list[str]
    samples: list[PreviewSample]
    texts: list[SampleText] = field(default_factory=list)


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
    train = with_collate(sources.train, config.loader)
    images = summarize(train, sources.classes, limit=_MEASURED_SAMPLES) if train.is_image else None
    lane = choose_lane(
        train,
        config.data,
        train=True,
        device=device,
        room=measure_room(device, config.data.cache),
        num_workers=config.loader.num_workers,
    )
    positions = np.linspace(0, len(sources.train) - 1, min(count, len(sources.train))).astype(int).tolist()
    shown = sources, config.data, config.seed, epoch, positions
    return DataLook(
        classes=sources.classes,
        class_counts=class_counts(train, sources.classes),
        train_size=len(sources.train),
        validation_size=len(sources.validation),
        input_shape=sample_shape(sources, config),
        mean=images.mean if images else (),
        std=images.std if images else (),
        measured=images.samples_read if images else 0,
        storage=lane.words,
        storage_reason=lane.reason,
        notes=[*sources.notes, *lane.notes],
        samples=preview(*shown, train=True) if train.is_image else [],
        texts=[] if train.is_image else preview_text(*shown, train=True),
    )
