"""Settings that a run in training changes itself or is told to change: they belong to its state, not to its config."""

from __future__ import annotations

from collections.abc import Mapping

from .compute.executor import Executor


class LiveSettings:
    """The values of these settings, kept in every checkpoint.

    Attributes:
        rollbacks: how often the run went back to a good state after it had diverged.
    """

    def __init__(self, executor: Executor) -> None:
        """Read and change the settings of what computes the run's steps."""
        self.rollbacks = 0
        self._executor = executor

    @property
    def clip_norm(self) -> float:
        """The largest norm of the gradients; 0 for no clipping."""
        return self._executor.step.clip_norm

    @clip_norm.setter
    def clip_norm(self, norm: float) -> None:
        self._executor.step.clip_norm = norm

    @property
    def largest_part(self) -> int:
        """Most samples that go through the model at once in a step; 0 for whole batches."""
        return self._executor.passes.largest_part

    def values(self) -> dict[str, float]:
        """All of them, as a checkpoint holds them."""
        return {
            "training.clip_norm": self.clip_norm,
            "largest_part": self._executor.passes.largest_part,
            "evaluation_part": self._executor.evaluation.largest_part,
            "rollbacks": self.rollbacks,
        }

    def restore(self, values: Mapping[str, float], *, with_clip_norm: bool) -> None:
        """Restore the settings from a checkpoint.

        Args:
            values: from a checkpoint, where some may be missing.
            with_clip_norm: False where the config asks for another norm than the checkpoint's own did.
        """
        if with_clip_norm:
            self.clip_norm = values.get("training.clip_norm", self.clip_norm)
        self.rollbacks = int(values.get("rollbacks", 0))
        passes = self._executor.passes
        # What this process has found out since then holds, too.
        known = [part for part in (int(values.get("largest_part", 0)), passes.largest_part) if part]
        passes.largest_part = min(known, default=0)
        self._executor.evaluation.largest_part = int(values.get("evaluation_part", 0))
