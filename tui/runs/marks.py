"""Runs that the user has marked, each with a color that it keeps while it is marked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path

from ..words.runs.run_lists import SERIES_COLORS


class RunMarks:
    """Marked runs, in the order in which they were marked.

    A run keeps its color when another one is unmarked; the next one that is marked gets the first color that is free.
    """

    def __init__(self) -> None:
        self._slots: dict[Path, int] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, run: Path) -> bool:
        return run in self._slots

    @property
    def runs(self) -> list[Path]:
        """The marked runs."""
        return list(self._slots)

    def color(self, run: Path) -> str:
        """Theme variable of a run's curve; empty if it is not marked."""
        slot = self._slots.get(run)
        return SERIES_COLORS[slot % len(SERIES_COLORS)] if slot is not None else ""

    def toggle(self, run: Path) -> None:
        """Mark a run, or unmark it."""
        if self._slots.pop(run, None) is None:
            self._mark(run)

    def toggle_all(self, runs: Iterable[Path]) -> None:
        """Mark all of these runs; if all of them are marked, unmark them."""
        runs = list(runs)
        if all(run in self._slots for run in runs):
            for run in runs:
                del self._slots[run]
            return
        for run in runs:
            if run not in self._slots:
                self._mark(run)

    def clear(self) -> None:
        """Unmark all."""
        self._slots.clear()

    def rename(self, before: Path, after: Path) -> None:
        """A run's directory has another name."""
        self._slots = {after if run == before else run: slot for run, slot in self._slots.items()}

    def keep(self, runs: Collection[Path]) -> None:
        """Unmark runs that are not among these: they were deleted."""
        self._slots = {run: slot for run, slot in self._slots.items() if run in runs}

    def _mark(self, run: Path) -> None:
        taken = set(self._slots.values())
        self._slots[run] = next(slot for slot in range(len(taken) + 1) if slot not in taken)
