"""Measuring a run on its validation split: when it is due, with which weights, and what follows from the result."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..runs.on_disk.metrics_record import Measured
from ..runs.writer import RunWriter
from .compute.evaluation import Evaluation
from .monitors.advice import OscillationAdvice
from .state import RunState

Evaluate = Callable[[], Evaluation | None]


@dataclass(frozen=True)
class Validated:
    """The result of one measurement.

    Attributes:
        raw: result of the model's own weights.
        averaged: result of their moving average; None if there is none.
        is_best: whether it is the best so far.
        record: entry for the run's records.
    """

    raw: Evaluation
    averaged: Evaluation | None
    is_best: bool
    record: Measured


class Validation:
    """Measures and judges a run's weights. All in the engine's thread."""

    def __init__(self, state: RunState, run: RunWriter) -> None:
        self._state = state
        self._run = run
        self._advice = OscillationAdvice(state.config.optimizer.name)

    def is_due_after_epoch(self) -> bool:
        """Whether the epoch under way is measured at its end; the last one always is."""
        epoch = self._state.position.epoch + 1
        return epoch % self._state.config.evaluation.every_epochs == 0 or epoch == self._state.config.training.epochs

    def is_due_at_step(self) -> bool:
        """Whether the present step is to be measured and was not: where an epoch ends, that is left to the epoch."""
        position, every = self._state.position, self._state.config.evaluation.every_steps
        if not every or not position.step or position.step % every or position.step == self._state.evaluated_step:
            return False
        return position.step_in_epoch < self._state.steps_per_epoch or not self.is_due_after_epoch()

    def measure(self, evaluate: Evaluate) -> Validated | None:
        """Measure the weights and their average, and take the result over into the state.

        Args:
            evaluate: evaluates the model as it is; None when it was interrupted.

        Returns:
            The result, or None when it was interrupted: nothing has changed then.
        """
        state, averaged = self._state, None
        raw = evaluate()
        if raw is None:
            return None
        if state.averages is not None:
            with state.averages.in_place():
                averaged = evaluate()
            if averaged is None:
                return None
        epoch, step = state.position.epoch + 1, state.position.step
        self._say_if_not_finite(raw, epoch)
        if text := self._advice.look("validation accuracy", raw.metrics.get("accuracy", math.nan)):
            self._run.event("advice", step=step, text=text)
        judged = raw.metrics
        if averaged is not None and self._state.config.ema.decides_best:
            judged = averaged.metrics
        is_best = state.best.offer(judged, epoch=epoch, step=step)
        state.early_stopping.offer(judged[state.early_stopping.metric], step)
        state.schedule.after_evaluation(judged)
        state.evaluated_step = step
        tables = {"": raw.tables} if averaged is None else {"": raw.tables, "ema": averaged.tables}
        full = {"epoch": epoch, "step": step, "metrics": raw.metrics, "tables": tables}
        self._run.write_evaluation(full if averaged is None else {**full, "ema": averaged.metrics})
        record: Measured = {
            "validation": raw.metrics,
            "is_best": is_best,
            "rated": {"metric": state.best.metric, "value": judged[state.best.metric]},
        }
        if averaged is not None:
            record["ema"] = averaged.metrics
            record["rated"]["weights"] = "ema" if self._state.config.ema.decides_best else "raw"
        if state.early_stopping.is_over:
            self._run.event("stopped_early", step=step, text=state.early_stopping.sentence)
        return Validated(raw, averaged, is_best, record)

    def _say_if_not_finite(self, evaluation: Evaluation, epoch: int) -> None:
        loss = evaluation.metrics["loss"]
        if not math.isfinite(loss):
            self._run.event(
                "note",
                text=f"the validation loss is {loss} after epoch {epoch}: its weights can't become the best",
            )
