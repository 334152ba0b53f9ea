"""One sample on its way through a pipeline: what it is after each step, and what the step costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from torch import Tensor

from ...config import Component, RunConfig
from ..datasets.opened import opened_sources
from ..datasets.samples import sample_name
from ..datasets.splits import ArrayDataset, Split
from ..loading.storage import read_image
from ..transforms.mixing import of_samples
from ..transforms.pipeline import NEEDS_FLOAT, is_plain_scaling
from .findings import SampleTrace, TraceStep
from .image_bytes import eye_image
from .preview import SampleTier, denormalized, sample_tier, transform_samples
from .sample_text import target_words

# A step is timed as what it adds to those before it; the shortest of a few times counts, as everything else disturbs.
_REPEATS = 5
_PATIENCE = 0.3  # seconds for the timing of all steps
# Batched transforms are timed on this many samples: one alone would measure the calls, not the work.
_TIMED_BATCH = 64
_TIMED_FILES = 4


def trace_sample(config: RunConfig, *, epoch: int, position: int) -> SampleTrace:
    """A training sample after each of its transforms, with the random draws of an epoch.

    The first k steps are the same with and without those after them, as every draw is keyed by its step.

    Args:
        config: the run.
        epoch: 0-based.
        position: position of the sample in the training split.

    Raises:
        ConfigError, DataError, UserCodeError: a sample that can't be read or transformed.
    """
    sources = opened_sources(config.data, config.seed)
    split, specs = sources.train, of_samples(config.data.train_transforms)
    where = "data.train_transforms"
    tier = sample_tier(split, specs, config.data.storage)
    image, target = read_image(split, position)
    steps = [_step("as stored", image, (), None)]
    deadline = time.perf_counter() + _PATIENCE
    before = _seconds(split, (), where, config.seed, position, tier, deadline)
    for count in range(1, len(specs) + 1):
        part = specs[:count]
        (pixels,) = transform_samples(split, part, where, config.seed, epoch, [position], tier=tier)
        after = _seconds(split, part, where, config.seed, position, tier, deadline)
        taken = None if before is None or after is None else max(after - before, 0.0) * 1e6
        before = after
        steps.append(_step(specs[count - 1].name, pixels if _is_float(part) else _as_bytes(pixels), part, taken))
    if not _is_float(specs):
        (pixels,) = transform_samples(split, specs, where, config.seed, epoch, [position], tier=tier)
        steps.append(_step("into the model", pixels, specs, None))
    return SampleTrace(sample_name(split, position), target_words(target, sources.classes), tier == "batches", steps)


def _step(name: str, values: Tensor, specs: Sequence[Component], microseconds: float | None) -> TraceStep:
    floats = values.float()
    return TraceStep(
        name=name,
        pixels=eye_image(denormalized(values, specs) if values.is_floating_point() else values),
        shape=tuple(values.shape),
        dtype=str(values.dtype).removeprefix("torch."),
        minimum=floats.min().item(),
        maximum=floats.max().item(),
        mean=floats.mean().item(),
        microseconds=microseconds,
    )


def _seconds(
    split: Split,
    specs: Sequence[Component],
    where: str,
    seed: int,
    position: int,
    tier: SampleTier,
    deadline: float,
) -> float | None:
    """What these steps take a sample, reading included; None when the patience is used up."""
    count = 1 if tier != "batches" else _TIMED_BATCH if isinstance(split.dataset, ArrayDataset) else _TIMED_FILES
    # The same one again and again: others may have another size until a later step.
    positions = [position] * count
    times = [
        _timed(lambda: transform_samples(split, specs, where, seed, 0, positions, tier=tier)) / len(positions)
        for _ in range(_REPEATS)
        if time.perf_counter() < deadline
    ]
    return min(times) if times else None


def _timed(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def _is_float(specs: Sequence[Component]) -> bool:
    """Whether pixels are floats after these steps; where they are not, the tiers still scale them at their end."""
    return any(spec.name in NEEDS_FLOAT or spec.name == "ToTensor" or is_plain_scaling(spec) for spec in specs)


def _as_bytes(pixels: Tensor) -> Tensor:
    """uint8 pixels that were divided by 255, as they were."""
    return (pixels * 255).round().byte()
