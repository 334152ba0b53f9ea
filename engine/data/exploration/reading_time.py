"""How long an epoch's batches take to be made, without a model."""

from __future__ import annotations

import time

import torch

from ...config import RunConfig
from ...machine.device import choose_device
from ...progress import Progress
from ..loading.bad_files import open_usable
from ..loading.batch_loader import BatchLoader
from ..loading.loaders import train_loader

# The rest of an epoch is like its beginning.
_MEASURED_SECONDS = 1.0
_LEAST_BATCHES = 3


def time_reading(config: RunConfig, *, progress: Progress) -> float:
    """Seconds in which the run's own loader makes the batches of one epoch.

    An epoch of more than a second is measured for a second, and extrapolated. What is decoded once before the first
    epoch does not count.

    Args:
        config: the run.
        progress: called with what is done, items done, items in all; what it raises ends the measurement.

    Raises:
        TorchdeckError: the data can't be opened or read.
    """
    sources, _ = open_usable(config, progress)
    device = choose_device(config.training.device)
    loader = train_loader(sources, config, device, progress)
    seconds, made = _timed(loader, 0, device, progress)
    if made < loader.num_batches:
        return seconds / made * loader.num_batches
    # Short enough for another epoch, which has nothing to start.
    return _timed(loader, 1, device, progress)[0]


def _timed(loader: BatchLoader, epoch: int, device: torch.device, progress: Progress) -> tuple[float, int]:
    """Seconds for the first batches of an epoch, and how many those were."""
    begin = time.perf_counter()
    made = 0
    for made, _ in enumerate(loader.batches(epoch), start=1):
        progress("reading an epoch", made, loader.num_batches)
        if made >= _LEAST_BATCHES and time.perf_counter() - begin > _MEASURED_SECONDS:
            break
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin, made
