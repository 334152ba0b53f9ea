"""A run whose model is compiled: its first step, whether compiling pays, and what is compiled later."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, replace

import torch
from torch import Tensor

from ...config import TrainingConfig
from ...plurals import plural
from ...randomness import generators_kept
from ...runs.on_disk.state_file import Report
from ...runs.writer import RunWriter
from .compilation import CompileOutcome, compile_with_first_step, number_of_graphs
from .memory_recovery import is_out_of_memory, release_memory
from .step import Batch, TrainStep, buffers_kept

# The first passes are slower: kernels are chosen in them, CUDA graphs recorded.
_WARM_PASSES, _TIMED_PASSES = 2, 5
_LONGEST_SECONDS = 2.0


class CompiledRun:
    """Compiles a run's model in its first step and reports the outcome. All in the engine's thread."""

    def __init__(
        self,
        config: TrainingConfig,
        step: TrainStep,
        device: torch.device,
        run: RunWriter,
        report: Report,
        runs_eager: Callable[[int], bool],
    ) -> None:
        """Compile nothing yet.

        Args:
            config: the mode, and whether graphs take any batch size.
            step: the run's step, with its model.
            device: where the run computes.
            run: receives events.
            report: changes fields of the run's state.
            runs_eager: whether a batch size is not worth its own graph.
        """
        self._config = config
        self._step = step
        self._device = device
        self._run = run
        self._report = report
        self._runs_eager = runs_eager
        self._first_graphs = self._told_graphs = 0
        self._is_compiled = False

    def first_step(
        self, window: list[Batch], take_step: Callable[[], tuple[Tensor, list[Tensor]]]
    ) -> tuple[Tensor, list[Tensor]]:
        """Do the run's first step, in which torch compiles, and time the passes of a step before and after it.

        Args:
            window: the step's batches.
            take_step: seeds the step and does it.
        """
        config = self._config
        self._report(phase="compiling", message=f"torch.compile, mode {config.compile_mode}")
        eager_seconds = self._seconds_of_passes(window)
        result, outcome = compile_with_first_step(
            self._step.model,
            config.compile_mode,
            take_step,
            dynamic={"auto": None, "always": True, "never": False}[config.compile_dynamic],
            runs_eager=self._runs_eager,
            on_failure=self._say_failed,
        )
        if outcome.succeeded:
            self._first_graphs = self._told_graphs = number_of_graphs()
            self._is_compiled = True
            if eager_seconds is not None:
                outcome = replace(
                    outcome, eager_seconds=eager_seconds, compiled_seconds=self._seconds_of_passes(window)
                )
        kind = "compiled" if outcome.succeeded else "compile_failed"
        self._run.event(kind, text=outcome.sentence, **asdict(outcome))
        self._report(phase="training", compile=outcome.sentence, message="")
        return result

    def say_recompiled(self, step: int) -> None:
        """Tell of graphs that were made since the last time this was called: each made the run wait."""
        graphs = number_of_graphs()
        if not self._is_compiled or graphs <= self._told_graphs:
            return
        self._told_graphs = graphs
        count = graphs - self._first_graphs
        self._run.event(
            "recompiled",
            text=f"recompiled {plural(count, 'time')} since the first step; evaluation takes one graph of its own",
            recompiles=count,
            step=step,
        )

    def _say_failed(self, reason: str) -> None:
        self._is_compiled = False
        outcome = CompileOutcome(False, 0.0, reason)
        self._run.event("compile_failed", **asdict(outcome))
        self._report(phase="training", compile=outcome.sentence)

    def _seconds_of_passes(self, window: list[Batch]) -> float | None:
        """Median seconds of a step's forward and backward passes; None when there is no memory for them.

        Weights, buffers and generators are left as they were, so that a step is the same with and without this.
        """
        seconds: list[float] = []
        began = time.perf_counter()
        with generators_kept(), buffers_kept(self._step.model):
            try:
                while len(seconds) < _WARM_PASSES + _TIMED_PASSES:
                    self._wait_for_device()
                    pass_began = time.perf_counter()
                    self._step.rehearse(window)
                    self._wait_for_device()
                    seconds.append(time.perf_counter() - pass_began)
                    if time.perf_counter() - began > _LONGEST_SECONDS:
                        break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                seconds.clear()
        if not seconds:
            release_memory()
            return None
        return statistics.median(seconds[_WARM_PASSES:] or seconds[-1:])

    def _wait_for_device(self) -> None:
        if self._device.type != "cpu":
            torch.accelerator.synchronize(self._device)
