"""The largest batch that trains on this machine, found by real steps. To be called in a process that is thrown away.

Every try is a step of the run's own model, optimizer, precision, accumulation and moving average on a batch of its own
data. The search begins at the estimate of `preflight.memory_estimate`; what fits is decided by measuring.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from ..build import Prepared, Progress, prepare
from ..config import RunConfig
from ..data.loading.loaders import example_inputs, train_loader
from ..errors import TorchdeckError
from ..machine.free_memory import memory_bound
from ..training.compute.memory_recovery import is_out_of_memory, release_memory
from ..training.compute.placement import placed
from ..training.compute.step import Batch
from .measured_step import RealStep, repeated
from .memory_estimate import USABLE, free_memory, largest_batch

# Batch sizes up to here differ by one sample, larger ones by 8: kernels work in tiles of such sizes.
_SINGLE_STEPS, _GRANULE = 16, 8
# A batch size that differs by less than 1/64 makes no difference in practice.
_RESOLUTION = 64
# An estimate is within a tenth of what is measured, so the edge is near it; further away, sizes are doubled or halved.
_NEAR = 1.25
_FAR = 2.0
# Room in the bound for what torch itself takes beside its tensors: kernels' scratch memory, threads, the profiler.
_SLACK = 256 << 20


@dataclass(frozen=True)
class Try:
    """A batch size that was tried.

    Attributes:
        batch_size: samples per batch.
        fits: whether its step stayed within the room.
        peak: bytes at the step's worst moment, weights included; 0 where an allocation failed.
        samples_per_second: training speed, without making the batches; NaN if it doesn't fit.
    """

    batch_size: int
    fits: bool
    peak: int
    samples_per_second: float


@dataclass(frozen=True)
class BatchSearch:
    """Result of a batch size search.

    Attributes:
        largest: samples of the largest batch that fits; 0 when not even one sample does.
        within: resolution of the search, in samples.
        limited_by: "memory", or "samples" where the whole training split in one batch fits.
        room: bytes that a step might take, weights included.
        device: where the steps ran.
        precision: the resolved precision.
        is_compiled: whether the run is compiled, which the tries were not: it then takes less.
        tries: batch sizes that were tried, in order.
    """

    largest: int
    within: int
    limited_by: Literal["memory", "samples"]
    room: int
    device: str
    precision: str
    is_compiled: bool
    tries: list[Try] = field(default_factory=list)


def find_largest_batch(config: RunConfig, *, progress: Progress, memory: int = 0) -> BatchSearch:
    """Try batch sizes until the largest that fits is known to a sample, to 8, or to a 64th of it.

    A step fits when its measured peak leaves a tenth of the free memory. On a GPU an allocation that fails says that
    a batch is too large; on the CPU this process is bound, so that allocations fail here before the machine runs out.

    Args:
        config: the run; its own batch size has no effect but on where the estimate begins.
        progress: called with what is tried, tries done, and 0; may raise to end the search.
        memory: bytes that a step may take, weights included; 0 for nine tenths of what is free.

    Raises:
        ConfigError: a run that can't be measured, or whatever is wrong with the config.
        TorchdeckError: data or model can't be had.
    """
    prepared = prepare(config, progress)
    samples = len(prepared.sources.train)
    with placed(prepared.placement):
        loader = train_loader(prepared.sources, config, prepared.placement.device, progress)
        batch: Batch = next(iter(loader.batches(0)))
        step = RealStep(config, prepared.model, prepared.placement, prepared.objective)
        release_memory()
        room = memory or step.present + int(free_memory(step.device) * USABLE)
        tries: list[Try] = []

        def fits(size: int) -> bool:
            tried = ", ".join(map(_words, tries[-1:]))
            progress(f"{tried + '; ' if tried else ''}trying {size:,}", len(tries), 0)
            tries.append(_try(step, batch, size, room))
            return tries[-1].fits

        progress("estimating a starting point", 0, 0)
        first = _estimated(prepared, room, samples)
        largest, within = bisect_largest(fits, first, samples)
    return BatchSearch(
        largest=largest,
        within=within,
        limited_by="samples" if largest == samples else "memory",
        room=room,
        device=str(step.device),
        precision=prepared.placement.precision,
        is_compiled=config.training.compile,
        tries=tries,
    )


def bisect_largest(fits: Callable[[int], bool], first: int, most: int) -> tuple[int, int]:
    """The largest size that fits, where every smaller one does.

    Args:
        fits: asked about each size once.
        first: where to begin.
        most: the largest size of interest.

    Returns:
        The size, 0 for none, and to how many samples it is known.
    """
    low, high = 0, most + 1
    wanted, factor = _rounded(first) if first < most else most, _NEAR
    while low < most if high > most else high - low > _granule(low):
        if fits(wanted):
            low = wanted
        else:
            high = wanted
        if high > most:
            wanted = min(most, max(_rounded(math.ceil(low * factor)), low + _granule(low)))
        elif low == 0:
            wanted = max(1, min(_rounded(int(high / factor)), high - 1))
        else:
            wanted = min(max(_rounded((low + high) // 2), low + 1), high - 1)
        factor = _FAR
    return low, 1 if low == most else _granule(low)


def _granule(size: int) -> int:
    if size < _SINGLE_STEPS:
        return 1
    return max(_GRANULE, size // _RESOLUTION // _GRANULE * _GRANULE)


def _rounded(size: int) -> int:
    return size // _GRANULE * _GRANULE if size >= _SINGLE_STEPS else max(1, size)


def _estimated(prepared: Prepared, room: int, samples: int) -> int:
    """The estimate for the room there is; where a model can't be estimated, the run's own batch size."""
    config = prepared.config
    example = example_inputs(prepared.sources, config)
    try:
        found = largest_batch(
            config,
            prepared.objective.num_outputs,
            prepared.input_shape,
            example,
            limit=samples,
            usable=room,
        )
    except TorchdeckError:
        return config.loader.batch_size
    return found.batch_size if found is not None else 1


def _try(step: RealStep, batch: Batch, size: int, room: int) -> Try:
    """Run steps at a batch size and release what they allocate."""
    problem = False
    found = Try(size, fits=False, peak=0, samples_per_second=math.nan)
    bound = max(0, room - step.present) + _SLACK
    try:
        if step.device.type == "cpu":
            with memory_bound(bound):
                found = _stepped(step, batch, size, room)
        else:
            found = _stepped(step, batch, size, room)
    except (RuntimeError, MemoryError) as error:
        if not _ran_out(error):
            raise
        problem = True
    # Outside of the handler: the error's frames hold the very tensors that are to be freed.
    if problem:
        step.forget()
    release_memory()
    return found


def _stepped(step: RealStep, batch: Batch, size: int, room: int) -> Try:
    window = step.window(repeated(batch, size))
    if step.is_fresh:
        # The optimizer's state is made by the first step, and kernels are chosen.
        step(window)
    peak = step.peak(window)
    if peak > room:
        return Try(size, fits=False, peak=peak, samples_per_second=math.nan)
    began = time.perf_counter()
    step(window)
    seconds = time.perf_counter() - began
    return Try(size, fits=True, peak=peak, samples_per_second=size * len(window) / seconds)


def _ran_out(error: BaseException) -> bool:
    """Whether an allocation failed; oneDNN says so only by a primitive that it could not create."""
    return is_out_of_memory(error) or "bad_alloc" in str(error) or "could not create a" in str(error)


def _words(tried: Try) -> str:
    return f"{tried.batch_size:,} {'fits' if tried.fits else 'does not fit'}"
