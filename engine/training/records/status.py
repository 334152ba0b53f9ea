"""Write the status of training into the run's state file."""

from __future__ import annotations

from typing import Unpack

from ...runs.on_disk.state_file import StateFile
from ...runs.writer import RunWriter
from ..live_settings import LiveSettings
from ..state import RunState
from .time_breakdown import TimeShares


class TrainingStatus:
    """Reports the position, the settings and the shares of time of a run in training."""

    def __init__(self, state: RunState, live: LiveSettings, times: TimeShares, run: RunWriter) -> None:
        self._state = state
        self._live = live
        self._times = times
        self._run = run

    def report(self, **fields: Unpack[StateFile]) -> None:
        """Write where training stands, and what else has changed, such as `phase`."""
        position, config = self._state.position, self._state.config
        epochs = config.training.epochs
        standing: StateFile = {
            "epoch": min(position.epoch + 1, epochs),
            "epochs": epochs,
            "step": position.step,
            # Epochs before a resume with other settings had other numbers of steps.
            "total_steps": position.step
            + (epochs - position.epoch) * self._state.steps_per_epoch
            - position.step_in_epoch,
            "step_in_epoch": position.step_in_epoch,
            "steps_per_epoch": self._state.steps_per_epoch,
            "batch_size": config.loader.batch_size,
            "learning_rate": self._state.schedule.learning_rate,
            "clip_norm": self._live.clip_norm,
            "largest_part": self._live.largest_part,
            "seconds": self._times.seconds(),
        }
        changed: StateFile = {**standing, **fields}
        self._run.update_state(**changed)
