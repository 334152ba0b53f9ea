"""Where training stands, written into the run's state for whoever looks."""

from __future__ import annotations

from typing import Any

from ..config import RunConfig
from ..runs.writer import RunWriter
from .compute.memory_recovery import RecoveringStep
from .compute.step import TrainStep
from .state import RunState
from .time_breakdown import TimeShares


class TrainingStatus:
    """Reports the position, the settings and the shares of time of a run in training.

    Attributes:
        config: the run's; another one from when its number of epochs changes.
    """

    def __init__(
        self,
        config: RunConfig,
        state: RunState,
        step: TrainStep,
        recovering: RecoveringStep,
        times: TimeShares,
        run: RunWriter,
        *,
        steps_per_epoch: int,
    ) -> None:
        self.config = config
        self._state = state
        self._step = step
        self._recovering = recovering
        self._times = times
        self._run = run
        self._steps_per_epoch = steps_per_epoch

    def report(self, phase: str, **fields: Any) -> None:
        """Say what is being done.

        Args:
            phase: "training", "evaluating", "compiling"…
            **fields: further fields of the run's state.
        """
        position, epochs = self._state.position, self.config.training.epochs
        self._run.update_state(
            phase=phase,
            epoch=min(position.epoch + 1, epochs),
            epochs=epochs,
            step=position.step,
            total_steps=self._steps_per_epoch * epochs,
            step_in_epoch=position.step_in_epoch,
            steps_per_epoch=self._steps_per_epoch,
            batch_size=self.config.loader.batch_size,
            learning_rate=self._state.schedule.learning_rate,
            clip_norm=self._step.clip_norm,
            largest_part=self._recovering.largest_part,
            seconds=self._times.seconds(),
            **fields,
        )
