"""Collect the overview and the sample previews of a config's data for a screen."""

from __future__ import annotations

import time

import numpy as np

from ...config import RunConfig
from ...errors import DataError, TorchdeckError
from ...machine.device import choose_device
from ...progress import Progress
from ...shapes import shape_words
from ..datasets.opened import opened_sources
from ..datasets.samples import read_sample
from ..datasets.splits import ArrayDataset, Split
from ..loading.collation import with_collate
from ..loading.loaders import data_notes, sample_shape
from ..loading.storage import measure_room
from ..loading.tiers import choose_tier
from ..transforms.mixing import of_samples
from ..transforms.target_geometry import refuse_left_behind
from .balance import describe_balance
from .duplicates import find_duplicates
from .findings import (
    DataLook,
    DuplicateReport,
    ImageSizes,
    PixelStatistics,
    PreviewSample,
    SampleLook,
    SampleText,
    StorageLook,
)
from .image_sizes import look_at_sizes
from .preview import preview, preview_text
from .step_tiers import step_tiers
from .summary import DataSummary, class_counts, summarize

# A first look takes a fraction of a second: whole arrays up to this size, otherwise up to N samples or N seconds.
_MEASURED_BYTES = 128 << 20
_MEASURED_SAMPLES = 2000
_MEASURING_SECONDS = 0.5
_HEADERS = 2000


def look(config: RunConfig, *, is_fresh: bool, progress: Progress) -> DataLook:
    """Open the data and look at a part of them.

    Args:
        config: the run.
        is_fresh: open them again though they were opened before.
        progress: called with what is done, items done, items in all (0 where that is not known).

    Raises:
        TorchdeckError: the data can't be opened.
    """
    progress("opening", 0, 0)
    sources = opened_sources(config.data, config.seed, is_fresh=is_fresh, progress=progress)
    test = sources.test if sources.test is not sources.validation else None
    counts = class_counts(sources.train, sources.classes)
    return DataLook(
        classes=sources.classes,
        class_counts=counts,
        train_size=len(sources.train),
        validation_size=len(sources.validation),
        test_size=None if test is None else len(test),
        notes=list(sources.notes),
        balance=describe_balance(counts, sources.classes) if counts else "",
        pixels=_statistics(sources.train, sources.classes, is_whole=False, progress=progress),
    )


def measure(config: RunConfig, *, progress: Progress) -> PixelStatistics:
    """Channel statistics, sizes and unreadable samples of the whole training split. Raises TorchdeckError."""
    sources = opened_sources(config.data, config.seed)
    return _statistics(sources.train, sources.classes, is_whole=True, progress=progress)


def compare(config: RunConfig, *, by_pixels: bool, progress: Progress) -> DuplicateReport:
    """Exact duplicates and leakage between the splits. Raises TorchdeckError."""
    return find_duplicates(opened_sources(config.data, config.seed), by_pixels=by_pixels, progress=progress)


def look_at_samples(
    config: RunConfig, *, epoch: int, count: int, page: int = 0, class_index: int | None = None
) -> SampleLook:
    """Some training samples, raw and transformed, and what is to be said of the transforms.

    Args:
        config: the run.
        epoch: whose random draws the transformed samples show, from 0.
        count: how many samples, evenly spread over the training split.
        page: other samples for another number.
        class_index: show only samples of this class.

    Raises:
        TorchdeckError: the data can't be opened.
    """
    sources = opened_sources(config.data, config.seed)
    train_steps = step_tiers(config.data.train_transforms, "data.train_transforms")
    eval_steps = step_tiers(config.data.eval_transforms, "data.eval_transforms")
    positions = _positions(sources.train, count, page, class_index)
    readable, unreadable = _readable(sources.train, positions)
    wrong = next((step.error for step in [*train_steps, *eval_steps] if step.error), "")
    storage: StorageLook | None = None
    shape, notes = "", list[str]()
    samples: list[PreviewSample] = []
    texts: list[SampleText] = []
    try:
        if not readable and unreadable:
            raise DataError(unreadable[0])
        if not wrong:
            data = config.data.model_copy(update={"train_transforms": of_samples(config.data.train_transforms)})
            shown = sources, data, config.seed, epoch, readable
            refuse_left_behind(sources.train, data.train_transforms, "data.train_transforms")
            refuse_left_behind(sources.validation, data.eval_transforms, "data.eval_transforms")
            samples = preview(*shown, train=True) if sources.train.is_image else []
            texts = [] if sources.train.is_image else preview_text(*shown, train=True)
            device = choose_device(config.training.device)
            train = with_collate(sources.train, config.loader)
            room = measure_room(device, config.data.cache)
            workers = config.loader.num_workers
            tier = choose_tier(train, data, train=True, device=device, room=room, num_workers=workers)
            validation = with_collate(sources.validation, config.loader)
            tiers = (
                tier,
                choose_tier(validation, data, train=False, device=device, room=tier.left, num_workers=workers),
            )
            storage = StorageLook(tier.words, tier.reason, tier.parts, tier.allowed)
            notes = data_notes(sources, config, tiers)
            shape = shape_words(sample_shape(sources, config))
    except TorchdeckError as error:
        wrong = str(error)
    return SampleLook(samples, texts, shape, storage, notes, train_steps, eval_steps, unreadable, wrong)


def _statistics(split: Split, classes: list[str], *, is_whole: bool, progress: Progress) -> PixelStatistics:
    if not split.is_image:
        return PixelStatistics((), (), 0, ImageSizes(), [], is_whole=True)
    every = range(len(split))
    heads = every if is_whole or isinstance(split.dataset, ArrayDataset) else every[:: max(1, len(split) // _HEADERS)]
    sizes = look_at_sizes(split, heads, progress=progress)
    found: dict[str, str] = {}
    try:
        summary = _summary(split, classes, found, is_whole=is_whole, progress=progress)
    except TorchdeckError as error:
        return PixelStatistics((), (), 0, sizes, [], is_whole, str(error))
    sizes.unreadable.update(found)
    histogram = [] if summary.histogram is None else summary.histogram.reshape(-1, 32, 8).sum(2).tolist()
    is_whole = is_whole or summary.samples_read == len(split) == sizes.looked_at
    return PixelStatistics(summary.mean, summary.std, summary.samples_read, sizes, histogram, is_whole)


def _summary(
    split: Split, classes: list[str], unreadable: dict[str, str], *, is_whole: bool, progress: Progress
) -> DataSummary:
    if is_whole or (isinstance(split.dataset, ArrayDataset) and split.dataset.images.nbytes <= _MEASURED_BYTES):
        return summarize(split, classes, progress=progress, unreadable=unreadable)
    deadline = time.monotonic() + _MEASURING_SECONDS
    return summarize(
        split,
        classes,
        limit=_MEASURED_SAMPLES,
        progress=progress,
        stop=lambda: time.monotonic() > deadline,
        unreadable=unreadable,
    )


def _positions(split: Split, count: int, page: int, class_index: int | None) -> list[int]:
    """Evenly spread positions, of one class if that is asked for; every page shifts them."""
    if class_index is None or split.targets is None or split.targets.ndim > 1:
        members = np.arange(len(split))
    else:
        members = np.flatnonzero(split.targets == class_index)
    if not len(members):
        return []
    spread = np.linspace(0, len(members), min(count, len(members)), endpoint=False).astype(int)
    chosen: list[int] = members[(spread + page) % len(members)].tolist()
    return chosen


def _readable(split: Split, positions: list[int]) -> tuple[list[int], list[str]]:
    """Which samples can be read, and what is wrong with the others."""
    if isinstance(split.dataset, ArrayDataset):
        return positions, []
    readable, unreadable = [], []
    for position in positions:
        try:
            read_sample(split, position)
            readable.append(position)
        except TorchdeckError as error:
            unreadable.append(str(error))
    return readable, unreadable
