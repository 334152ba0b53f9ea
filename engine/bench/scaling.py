"""Benchmark several processes of this machine against one: the same model, and the same batch for each process.

The runs take turns in short windows, paused in between, so that what else the machine does falls on all of them alike.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..build import prepare
from ..config import RunConfig
from ..errors import ConfigError, RunError, TorchdeckError
from ..launching.launched_ranks import LaunchedRanks, launch_ranks
from ..machine.cores import available_cores
from ..machine.device import choose_device
from ..runs.control import send
from ..runs.reader import RunReader
from .exchange import exchange_seconds
from .speed import bench_config

_WAIT_SECONDS = 600.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Scaling:
    """How fast some processes train together.

    Attributes:
        processes: how many.
        samples_per_s: samples per second of all of them, the median over the rounds.
        times: the same as a multiple of one process's, the median of the ratios within a round.
        exchange: seconds that adding up the gradients takes by itself, as a share of a step's; 0 for one process.
            Training hides a part of it behind the backward pass.
    """

    processes: int
    samples_per_s: float
    times: float
    exchange: float = 0.0

    @property
    def efficiency(self) -> float:
        """1 where each process trains as fast as one alone."""
        return self.times / self.processes


def measure_scaling(
    subject: str,
    counts: Sequence[int],
    *,
    seconds: float,
    rounds: int,
    device: str = "auto",
    devices: Sequence[int] = (),
    exact_shards: int = 0,
    strategy: Literal["ddp", "fsdp"] = "ddp",
) -> list[Scaling]:
    """Let runs of 1 and of `counts` processes take turns.

    Args:
        subject: the network, one of `speed.SUBJECTS`.
        counts: numbers of processes.
        seconds: length of a window.
        rounds: windows of each.
        device: device, as in `training.device`.
        devices: GPUs to use, one for each process; empty for the first ones, or for the cores.
        exact_shards: `parallel.exact_shards` of the runs of several processes.
        strategy: `parallel.strategy` of these.

    Raises:
        ConfigError: no such subject, or more processes than GPUs.
        TorchdeckError: a run can't be started.
    """
    counts = sorted({1, *counts})
    if devices and counts[-1] > len(devices):
        raise ConfigError(f"bench: {counts[-1]} processes need as many GPUs, and there are {len(devices)} to use")
    threads = max(1, available_cores() // counts[-1])
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        runs: dict[int, _PausedRun] = {}
        for count in counts:
            config = _config(subject, device, count, devices[:count], threads)
            if count > 1:
                config = _changed(config, "parallel", exact_shards=exact_shards, strategy=strategy)
            runs[count] = stack.enter_context(_PausedRun(config, Path(folder)))
        measured: list[dict[int, float]] = []
        for number in range(rounds):
            first = number % len(counts)
            measured.append({count: runs[count].window(seconds) for count in counts[first:] + counts[:first]})
    found = []
    for count in counts:
        samples_per_s = statistics.median(row[count] for row in measured)
        exchange = 0.0
        if count > 1:
            batch = bench_config(subject, device).loader.batch_size * count
            kind = choose_device(device).type
            seconds = exchange_seconds(_gradients(subject, device), count, device=kind, devices=devices)
            exchange = seconds * samples_per_s / batch
        times = statistics.median(row[count] / row[1] for row in measured)
        found.append(Scaling(count, samples_per_s, times, exchange))
    return found


def _gradients(subject: str, device: str) -> int:
    """Elements of the gradients of a network."""
    prepared = prepare(bench_config(subject, device), lambda message, done, total: None)
    return sum(weight.numel() for weight in prepared.model.parameters() if weight.requires_grad)


def _config(subject: str, device: str, count: int, devices: Sequence[int], threads: int) -> RunConfig:
    config = bench_config(subject, device)
    config = _changed(config, "parallel", processes=count, devices=list(devices))
    config = _changed(config, "loader", batch_size=config.loader.batch_size * count)
    return _changed(config, "training", num_threads=threads)


def _changed(config: RunConfig, section: str, **settings: Any) -> RunConfig:
    return config.model_copy(update={section: getattr(config, section).model_copy(update=settings)})


class _PausedRun:
    """A run of some processes that trains in windows only. A context manager."""

    def __init__(self, config: RunConfig, folder: Path) -> None:
        self._config, self._folder = config, folder

    def __enter__(self) -> _PausedRun:
        self._run = launch_ranks(self._config, self._folder)
        path = _directory_of(self._run)
        self._reader = RunReader(path)
        self._wait_for("running", steps=10)
        self._command("pause", "paused")
        return self

    def __exit__(self, *error: object) -> None:
        self._run.stop()
        self._run.join(_WAIT_SECONDS)

    def window(self, seconds: float) -> float:
        """Train for some seconds. Returns the samples per second."""
        before = len(self._throughputs())
        self._command("resume", "running")
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(self._throughputs()) < before + 2:
            self._check()
            time.sleep(_LOOK_SECONDS)
        self._command("pause", "paused")
        # The first block began with the pause's end.
        return statistics.median(self._throughputs()[before + 1 :])

    def _throughputs(self) -> list[float]:
        self._reader.poll()
        return [float(value) for value in self._reader.series("throughput")[1]]

    def _command(self, name: Literal["pause", "resume"], status: str) -> None:
        send(self._reader.path, {"cmd": name})
        self._wait_for(status)

    def _wait_for(self, status: str, steps: int = 0) -> None:
        end = time.monotonic() + _WAIT_SECONDS
        while self._reader.status() != status or self._reader.progress().step < steps:
            self._check()
            if time.monotonic() > end:
                raise RunError(f"{self._config.name}: is not {status} after {_WAIT_SECONDS:.0f} s")
            time.sleep(_LOOK_SECONDS)
            self._reader.poll()

    def _check(self) -> None:
        self._run.join(0)
        if not self._run.is_alive:
            raise self._run.error or TorchdeckError("the run ended before it could be measured")


def _directory_of(run: LaunchedRanks) -> Path:
    path = run.wait_for_directory(_WAIT_SECONDS)
    if path is None:
        raise run.error or TorchdeckError("the run could not be started")
    return path
