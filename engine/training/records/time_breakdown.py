"""Time breakdown of a run: waiting for data, evaluation, saving; the rest is computing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TypeVar

_LOOK_SECONDS = 0.05

Kind = Literal["data", "evaluation", "saving", "compiling", "paused"]
Item = TypeVar("Item")


class TimeShares:
    """Seconds of this life of the run by what they were spent on, as the training thread's clock sees it.

    On a GPU the host prepares batches while the device computes: waiting for data means that the host waited, and a
    device that is starved shows as low utilization.

    Attributes:
        is_at_boundary: whether the thread waits for a batch or evaluates: the run's state is that after a step.
        is_compiling: whether it is in the run's first step, in which torch compiles: only a copy that was made before
            is the state of a step.
        is_given_up: set from outside when the thread shall take no further step: another one saves for it.
    """

    def __init__(self) -> None:
        self.is_at_boundary = False
        self.is_compiling = False
        self.is_given_up = False
        self._seconds: dict[Kind, float] = {"data": 0.0, "evaluation": 0.0, "saving": 0.0, "compiling": 0.0}
        self._paused = 0.0
        self._began = time.perf_counter()

    def start(self) -> None:
        """Begin to count."""
        self._began = time.perf_counter()

    def waited_for(self, items: Iterator[Item]) -> Iterator[Item]:
        """`items`, with the time that each of them took to come counted as data."""
        clock, seconds = time.perf_counter, self._seconds
        nothing = object()
        while True:
            self.is_at_boundary = True
            began = clock()
            item = next(items, nothing)
            seconds["data"] += clock() - began
            self._leave_boundary()
            if item is nothing:
                return
            yield item  # type: ignore[misc]

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Count the time in here as evaluation, in which nothing of the run's state changes."""
        self.is_at_boundary = True
        with self.spent_on("evaluation"):
            yield
        self._leave_boundary()

    @contextmanager
    def compiling(self) -> Iterator[None]:
        """Count the time in here as the step in which torch compiles."""
        self.is_compiling = True
        with self.spent_on("compiling"):
            yield
        self._leave_boundary()

    def _leave_boundary(self) -> None:
        self.is_at_boundary = self.is_compiling = False
        while self.is_given_up:
            # The process is about to end, and the state must stay as it is being saved; or it is restored immediately.
            time.sleep(_LOOK_SECONDS)

    @contextmanager
    def spent_on(self, kind: Kind) -> Iterator[None]:
        """Count the time in here."""
        began = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - began
            if kind == "paused":
                self._paused += spent
            else:
                self._seconds[kind] += spent

    def seconds(self) -> dict[str, float]:
        """Seconds so far by what they were spent on; pauses aside."""
        total = time.perf_counter() - self._began - self._paused
        rest = max(0.0, total - sum(self._seconds.values()))
        return {"computing": round(rest, 3), **{kind: round(spent, 3) for kind, spent in self._seconds.items()}}
