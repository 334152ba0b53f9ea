"""The steps of a run on their way into its journal."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from ...distributed.ranks import ALONE, Ranks
from ...runs.on_disk.metrics_record import TrainRecord
from ...runs.writer import RunWriter
from ..compute.objective import Objective
from ..monitors.gradient_watch import GradientWatch
from ..monitors.loss_watch import LossWatch
from ..nonfinite import NonFiniteLossError, diverged
from ..state import RunState
from .clock import TrainingClock
from .step_log import StepLog

# Steps are read back from the device this often. A live panel lags by no more than this and one poll.
_DRAIN_SECONDS = 0.2


class StepRecords:
    """Keeps what steps produced on the device, and records it a few times per second.

    Attributes:
        log: takes every step.
        objective: objective that defines the log's scores.
    """

    def __init__(
        self,
        state: RunState,
        objective: Objective,
        watch: GradientWatch,
        clock: TrainingClock,
        run: RunWriter,
        report: Callable[[], None],
        ranks: Ranks = ALONE,
    ) -> None:
        """Begin with nothing.

        Args:
            state: state of the run; its totals grow with the records.
            objective: scores the steps.
            watch: its looks at the gradients are written with the steps.
            clock: the run's.
            run: is written to.
            report: called after every record.
            ranks: the processes that train together; all of them drain at the same steps.
        """
        self.objective = objective
        self.log = StepLog(objective, ranks)
        self._state = state
        self._watch = watch
        self._clock = clock
        self._run = run
        self._report = report
        self._since = time.perf_counter()
        self._losses: LossWatch | None = None

    def is_due(self) -> bool:
        """Whether the steps since the last drain have to be recorded now."""
        return time.perf_counter() - self._since >= _DRAIN_SECONDS

    def go_on(self) -> None:
        """Steps start, or continue after something else: only their time counts for the next block."""
        self._since = time.perf_counter()

    def discard(self) -> None:
        """Forget what isn't recorded yet."""
        self.log.clear()
        self._losses = None

    def drain(self) -> None:
        """Read the steps since the last call back from the device and record them.

        Raises:
            NonFiniteLossError: the loss of one of them is NaN or infinite.
        """
        now = time.perf_counter()
        if len(self.log):
            block = self.log.drain()
            self._state.totals.add(block)
            position, rates = self._state.position, block.learning_rate
            record: TrainRecord = {
                "kind": "train",
                "epoch": position.epoch + 1,
                "step": position.step,
                "t": self._clock.seconds(),
                "seconds": now - self._since,
                "samples": sum(block.samples),
                "loss": block.loss,
                "lr": rates[0] if rates[0] == rates[-1] and len(set(rates)) == 1 else rates,
            }
            record[self.objective.score_name] = [
                score / (samples * self.objective.scores_a_sample)
                for score, samples in zip(block.scores, block.samples, strict=True)
            ]
            self._run.record(record)
            self._report()
            self._watch.write(self._run)
            self._check_finite(block.loss)
            self._watch_losses(block.loss)
        self._since = now

    def _watch_losses(self, losses: Sequence[float]) -> None:
        step = self._state.position.step
        if self._losses is None:
            self._losses = LossWatch(is_resumed=step > len(losses))
        if text := self._losses.look(losses, step):
            self._run.event("loss", step=step, text=text)

    def _check_finite(self, losses: Sequence[float]) -> None:
        for offset, loss in enumerate(losses):
            if not math.isfinite(loss):
                step = self._state.position.step - len(losses) + offset + 1
                raise NonFiniteLossError(diverged(f"the loss is {loss} at", step, self._state), step)
