"""Benchmark the training loop on this machine against a bare loop on the same tensors and other trainers.

The loops take turns in short windows of one process, so that what else the machine does falls on all of them alike;
ratios are computed within a round.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ..config import RunConfig
from ..config.file import config_from_values
from ..errors import ConfigError, TorchdeckError, did_you_mean
from ..launching.launch import LaunchedRun, launch
from .speed_loops import AccelerateLoop, BareLoop, GatedLoop, LightningLoop, QuickstartLoop

if TYPE_CHECKING:
    from ..training.trainer import Trainer

# One dict a round: steps per second by the clock and by the training thread's CPU time, by what was running.
Rounds = list[dict[str, tuple[float, float]]]

# As many samples as make epochs of a second or more: real runs don't save several checkpoints per second.
SUBJECTS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"name": "mlp"}, "shape": [28, 28, 1], "count": 32_768},
    "cnn": {"model": {"name": "cnn", "channels": [16, 32]}, "shape": [28, 28, 1], "count": 4_096},
    "resnet18": {"model": {"name": "resnet18"}, "shape": [32, 32, 3], "count": 4_096},
}
_BATCH_SIZE, _CLASSES = 64, 10
_WARM_STEPS = 10
_WAIT_SECONDS = 600.0


def measure(subject: str, *, seconds: float, rounds: int, device: str = "auto") -> Rounds:
    """Let the loops take turns on one of `SUBJECTS`: `bare`, `headless`, and `quickstart`, `accelerate`, `lightning`
    where there are CPU windows for them and the packages are installed.

    Args:
        subject: the network.
        seconds: length of a window.
        rounds: windows of each.
        device: device, as in `training.device`.

    Raises:
        ConfigError: no such subject.
        TorchdeckError: the run can't be started.
    """
    with tempfile.TemporaryDirectory() as folder:
        run = launch(bench_config(subject, device), Path(folder))
        try:
            trainer = warm_trainer(run, _WARM_STEPS)
            loops: list[GatedLoop] = [BareLoop(trainer), QuickstartLoop(trainer)]
            if importlib.util.find_spec("accelerate") is not None:
                loops.append(AccelerateLoop(trainer))
            if importlib.util.find_spec("lightning") is not None:
                loops.append(LightningLoop(trainer))
            return take_turns(run, loops, ["headless", *(loop.label for loop in loops)], seconds, rounds)
        finally:
            run.stop()
            run.join(_WAIT_SECONDS)


def bench_config(subject: str, device: str = "auto") -> RunConfig:
    """A run without an end, on images of random pixels. Raises ConfigError for an unknown subject."""
    if subject not in SUBJECTS:
        raise ConfigError(f"{subject}: unknown benchmark{did_you_mean(subject, SUBJECTS)}")
    chosen = SUBJECTS[subject]
    return config_from_values(
        {
            "name": f"bench-{subject}",
            "data": {
                "dataset": f"{Path(__file__).with_name('speed_data.py')}:random_images",
                "arguments": {"count": chosen["count"], "shape": chosen["shape"], "num_classes": _CLASSES},
                "train_transforms": [{"name": "ToTensor"}],
                "eval_transforms": [{"name": "ToTensor"}],
            },
            "loader": {"batch_size": _BATCH_SIZE},
            "model": chosen["model"],
            "optimizer": {"name": "SGD", "lr": 1e-3},
            "training": {"epochs": 1_000_000, "device": device},
        }
    )


def ratios(rounds: Rounds, name: str, base: str, column: int) -> list[float]:
    """Sorted ratios of steps per second within each round. Column 0: by the clock; 1: by the thread's CPU time."""
    return sorted(row[name][column] / row[base][column] for row in rounds)


class LoopSpeed(TypedDict):
    """How fast a loop trains.

    Attributes:
        steps_per_s: steps per second, the median over the rounds.
        ratio: the same as a multiple of the bare loop's, by the clock; the median of the ratios within a round.
        cpu_ratio: the same by CPU time.
    """

    steps_per_s: float
    ratio: float
    cpu_ratio: float


def summary(rounds: Rounds, name: str, base: str = "bare") -> LoopSpeed:
    """Median steps per second of a loop and the median of its ratios to another, by the clock and by CPU time."""
    return {
        "steps_per_s": statistics.median(row[name][0] for row in rounds),
        "ratio": statistics.median(ratios(rounds, name, base, 0)),
        "cpu_ratio": statistics.median(ratios(rounds, name, base, 1)),
    }


def warm_trainer(run: LaunchedRun, steps: int) -> Trainer:
    """The trainer of a run once it has done some steps; the run then stands paused. Raises TorchdeckError."""
    run.wait_for_directory()
    while run.is_alive and (run.trainer is None or run.trainer.state.position.step < steps):
        time.sleep(0.05)
    if run.trainer is None or not run.is_alive:
        raise run.error or TorchdeckError("the run ended before it could be measured")
    pause(run)
    return run.trainer


def take_turns(
    run: LaunchedRun,
    loops: list[GatedLoop],
    names: list[str],
    seconds: float,
    rounds: int,
    show: Callable[[str], None] = lambda name: None,
) -> Rounds:
    """Rounds of one window each; the order changes from round to round. The run stands paused in between.

    Args:
        run: paused, and training in this process.
        loops: loops to compare with, not started yet.
        names: who takes part: labels of the loops; any other name is the run itself, in a state that `show` brings.
        seconds: length of a window.
        rounds: how many.
        show: called before each window with the name whose turn it is.
    """
    by_label = {loop.label: loop for loop in loops}
    trainer = run.trainer
    assert trainer is not None
    for loop in loops:
        loop.start()
    engine = next(thread.ident for thread in threading.enumerate() if thread.name == "engine")
    measured: Rounds = []
    for number in range(rounds):
        row = {}
        first = number % len(names)
        for name in names[first:] + names[:first]:
            show(name)
            if (loop_now := by_label.get(name)) is not None:
                row[name] = _window(seconds, loop_now.running, lambda one=loop_now: one.steps, loop_now.ident)  # type: ignore[misc]
            else:
                row[name] = _window(seconds, lambda: training(run), lambda: trainer.state.position.step, engine)
        measured.append(row)
    for loop in loops:
        loop.stop()
    return measured


def _window(
    seconds: float, running: Callable[[], AbstractContextManager[None]], steps: Callable[[], int], thread: int | None
) -> tuple[float, float]:
    """Steps per second of the clock, and a second of the thread's CPU time, while `running` is entered."""
    assert thread is not None
    cpu = time.pthread_getcpuclockid(thread)
    with running():
        _settle(steps, steps())
        first, began, cpu_began = steps(), time.perf_counter(), time.clock_gettime(cpu)
        time.sleep(seconds)
        _settle(steps, first)
        done = steps() - first
        return done / (time.perf_counter() - began), done / max(1e-9, time.clock_gettime(cpu) - cpu_began)


def _settle(steps: Callable[[], int], first: int) -> None:
    """Wait until some steps are done since `first`: a slow loop has none in a short window."""
    end = time.monotonic() + _WAIT_SECONDS
    while steps() < first + 2 and time.monotonic() < end:
        time.sleep(0.02)


@contextmanager
def training(run: LaunchedRun) -> Iterator[None]:
    """Let the paused run train in here."""
    run.control.submit({"cmd": "resume"})
    try:
        yield
    finally:
        pause(run)


def pause(run: LaunchedRun) -> None:
    """Pause a run that is trained in this process, and wait until it stands."""
    trainer = run.trainer
    assert trainer is not None
    run.control.submit({"cmd": "pause"})
    before = -1
    while trainer.state.position.step != before:
        before = trainer.state.position.step
        time.sleep(0.2)
