"""What is due between two steps of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Due:
    """What has to be done after a step.

    Attributes:
        drain: record the steps since the last time.
        save: save, because the last save is old enough.
    """

    drain: bool = False
    save: bool = False


NOTHING = Due()
"""Of nearly every step."""


class Boundary(Protocol):
    """Asked at every place where a run may be told something: after each step, between batches of an evaluation."""

    def after_step(self) -> Due:
        """What is due after this step."""
        ...

    def between_batches(self) -> None:
        """Take in what is to be obeyed, in the middle of an evaluation."""
        ...

    def leave(self) -> None:
        """Nothing is asked any more."""
        ...


class OwnBoundary:
    """The boundaries of a process that trains alone."""

    def __init__(self, drain_is_due: Callable[[], bool], save_is_due: Callable[[], bool]) -> None:
        self._drain_is_due = drain_is_due
        self._save_is_due = save_is_due

    def after_step(self) -> Due:
        """See `Boundary.after_step`."""
        return Due(drain=True, save=self._save_is_due()) if self._drain_is_due() else NOTHING

    def between_batches(self) -> None:
        """See `Boundary.between_batches`."""

    def leave(self) -> None:
        """See `Boundary.leave`."""
