"""Training time of a run: continues across resumes, stops during pauses."""

from __future__ import annotations

import time


class TrainingClock:
    """Seconds of training since the run first began. Stands until it is resumed."""

    def __init__(self) -> None:
        self._before = 0.0
        self._since: float | None = None

    def start_at(self, seconds: float) -> None:
        """Set it to what an earlier life of the run had reached."""
        self._before = seconds
        if self._since is not None:
            self.resume()

    def resume(self) -> None:
        """Let it run."""
        self._since = time.perf_counter()

    def pause(self) -> None:
        """Let it stand."""
        self._before, self._since = self.seconds(), None

    def seconds(self) -> float:
        """What it shows."""
        return self._before + (time.perf_counter() - self._since if self._since is not None else 0.0)
