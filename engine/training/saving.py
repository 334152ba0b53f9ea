"""Taking checkpoints of a run in training: snapshots at step boundaries, handed to the writer."""

from __future__ import annotations

import time

import torch

from ..runs.saving.checkpoint_format import Checkpoint
from ..runs.writer import RunWriter
from .callbacks import Callbacks
from .live_settings import LiveSettings
from .nonfinite import NonFiniteLossError, diverged
from .records.clock import TrainingClock
from .snapshot import Snapshot, SnapshotBuffers
from .state import RunState


class Saving:
    """Saves a run's state. All in the engine's thread, but for a save in its stead while it stands still.

    Attributes:
        start: the state before the first step, until checkpoints take its place.
    """

    def __init__(
        self,
        state: RunState,
        live: LiveSettings,
        callbacks: Callbacks,
        clock: TrainingClock,
        run: RunWriter,
        device: torch.device,
        *,
        is_written: bool = True,
    ) -> None:
        """Save nothing yet.

        Args:
            state: state to save.
            live: saved with it.
            callbacks: their states are saved with it.
            clock: the run's.
            run: takes the checkpoints.
            device: where the state lies.
            is_written: whether `run` writes checkpoints, or another process does.
        """
        self.start: Checkpoint | None = None
        self._state = state
        self._live = live
        self._callbacks = callbacks
        self._clock = clock
        self._run = run
        self._snapshots = SnapshotBuffers(device)
        self._is_written = is_written
        self._last_save = time.monotonic()
        self._saves = 0

    def is_due_at_step(self) -> bool:
        """Whether `checkpoint.every_steps` asks for a save of the present step."""
        every = self._state.config.checkpoint.every_steps
        return bool(every) and self._state.position.step % every == 0

    def is_due_by_time(self) -> bool:
        """Whether the last save is `checkpoint.every_minutes` old."""
        minutes = self._state.config.checkpoint.every_minutes
        return bool(minutes) and time.monotonic() - self._last_save >= 60 * minutes

    def save(self, reason: str, metrics: dict[str, float], *, is_best: bool, is_last: bool) -> None:
        """Snapshot the state and hand it to the writer.

        Raises:
            NonFiniteLossError: a weight is NaN or infinite; nothing is saved.
        """
        position = self._state.position
        if not self._state.weights_are_finite():
            raise NonFiniteLossError(diverged("non-finite weights after", position.step, self._state), 0)
        self._state.totals.seconds = self._clock.seconds()
        snapshot = self._snapshots.snapshot_of_all(is_kept=self._is_written)
        self._run.save_checkpoint(
            self._captured(metrics, snapshot),
            step=position.step,
            epoch=position.epoch,
            metrics=metrics,
            reason=reason,
            is_best=is_best,
            is_last=is_last,
            when_done=snapshot.release,
        )
        self._last_save = time.monotonic()
        self._saves += 1
        if self._saves > 1:
            # The first is written by now, or will be: there is something on disk to go back to.
            self.start = None

    def remember_start(self) -> None:
        """Keep a copy of the state, to go back to until the first checkpoints are written."""
        self.start = self.copied_state()

    def save_start(self) -> bool:
        """Hand the state before the first step to the writer, in another thread than the one that is in that step.

        Returns:
            False where that state is no longer kept.
        """
        if self.start is None:
            return False
        position = self.start["position"]
        self._run.save_checkpoint(
            self.start, step=position["step"], epoch=position["epoch"], metrics={}, reason="stop", is_last=True
        )
        return True

    def copied_state(self) -> Checkpoint:
        """A copy of the state in memory that stays its own."""
        return self._captured({}, self._snapshots.snapshot())

    def _captured(self, metrics: dict[str, float], snapshot: Snapshot) -> Checkpoint:
        """Everything that a checkpoint holds, with every copy arrived."""
        state = self._state.capture(metrics, self._live.values(), snapshot)
        state["callbacks"] = self._callbacks.state_dict(snapshot)
        # A callback may keep tensors on the GPU, too.
        snapshot.wait()
        return state
