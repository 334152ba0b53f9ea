"""Stopping a run whose validation metric no longer improves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...metric_names import metric
from ...runs.saving.checkpoint_format import SavedStopping


@dataclass
class EarlyStopping:
    """Counts evaluations without an improvement.

    Attributes:
        metric: metric that compares evaluations.
        patience: evaluations in a row without an improvement that end the run; 0 for never.
        min_delta: minimum change that counts as an improvement.
        best: the best value so far; NaN before the first.
        best_step: optimizer steps done when it was reached.
        waited: evaluations since.
        larger_is_better: which way the metric improves; None: as torchdeck's metric of this name.
    """

    metric: str
    patience: int
    min_delta: float
    best: float = math.nan
    best_step: int = 0
    waited: int = 0
    larger_is_better: bool | None = None

    @property
    def is_over(self) -> bool:
        """Whether the run is to end."""
        return 0 < self.patience <= self.waited

    def offer(self, value: float, step: int) -> None:
        """Count an evaluation. A value that is not finite is not an improvement."""
        larger = metric(self.metric).larger_is_better if self.larger_is_better is None else self.larger_is_better
        sign = 1 if larger else -1
        if math.isfinite(value) and (math.isnan(self.best) or sign * (value - self.best) > self.min_delta):
            self.best, self.best_step, self.waited = value, step, 0
        else:
            self.waited += 1

    @property
    def sentence(self) -> str:
        """Why the run ends."""
        title = metric(self.metric).title
        margin = f" by more than {self.min_delta:g}" if self.min_delta else ""
        return (
            f"stopped early: for {self.waited} evaluations the validation {title} did not improve{margin} over "
            f"{self.best:.4g}, reached at step {self.best_step:,}"
        )

    def state(self) -> SavedStopping:
        """For a checkpoint; its settings are in the config."""
        return {"metric": self.metric, "best": self.best, "best_step": self.best_step, "waited": self.waited}

    def load_state(self, state: SavedStopping) -> None:
        """Restore from `state`."""
        self.best, self.best_step = float(state["best"]), int(state["best_step"])
        self.waited = int(state["waited"])
