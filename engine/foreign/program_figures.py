"""Figures of a program that is being run: from the files that it writes, else from what it prints."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

from .formats import discovered
from .source import EPOCH, SECONDS, Figure, Source
from .tail import PIECE_BYTES
from .text_lines import LogLines

# Printed figures wait this long for a file with better ones, and longer where there is a file that is empty yet:
# torch's SummaryWriter writes every two minutes.
_PATIENCE_SECONDS, _LONG_PATIENCE_SECONDS = 10.0, 130.0
_SEARCH_SECONDS = 5.0

Row = tuple[int, int | None, dict[str, float]]
"""A step, its epoch (None if unknown), and figures by name."""


class ProgramFigures:
    """Reads what a program writes into its working directory, or its output.

    Attributes:
        origin: where the figures come from; empty while there are none.
    """

    def __init__(self, output: Path, folder: Path, pattern: re.Pattern[str] | None) -> None:
        """Begin when the program begins.

        Args:
            output: file with what it prints.
            folder: its working directory.
            pattern: what finds figures in its output; then its files are not looked for.
        """
        self.origin = ""
        self._output = LogLines(output, pattern)
        self._folder = folder
        self._only_prints = pattern is not None
        self._source: Source | None = None
        self._printed: list[Figure] = []
        self._began = time.time()
        self._searched = 0.0
        self._first_printed = 0.0
        self._patience = _PATIENCE_SECONDS

    def read(self, *, is_over: bool = False) -> list[Row]:
        """The rows that are new, in the order of their steps.

        Args:
            is_over: whether the program has ended, so that nothing is waited for.
        """
        if self._source is None and not self.origin and not self._only_prints:
            self._search(is_over=is_over)
        if self._source is not None:
            return list(_rows(self._source.read(PIECE_BYTES)))
        self._printed += self._output.read(PIECE_BYTES)
        if self._printed and not self._first_printed:
            self._first_printed = time.time()
        is_patient = not (is_over or self._only_prints or self.origin)
        if is_patient and time.time() - self._first_printed < self._patience:
            return []
        printed, self._printed = self._printed, []
        if printed:
            self.origin = "its output"
        return list(_rows(printed))

    def _search(self, *, is_over: bool) -> None:
        now = time.time()
        if now - self._searched < _SEARCH_SECONDS and not is_over:
            return
        self._searched = now
        for run in discovered(self._folder):
            source = run.format.open(run.path)
            # What is older is of another program.
            if source.facts().modified < self._began:
                continue
            self._patience = _LONG_PATIENCE_SECONDS
            if source.read(PIECE_BYTES):
                self._source, self.origin = run.format.open(run.path), f"{run.format.title}: {run.path}"
                return


def _rows(figures: list[Figure]) -> Iterator[Row]:
    by_step: dict[int, dict[str, float]] = {}
    for name, step, value in figures:
        if name != SECONDS and 0 <= step < 2**53:
            by_step.setdefault(int(step), {})[name] = value
    for step in sorted(by_step):
        values = by_step[step]
        epoch = values.pop(EPOCH, None)
        if values:
            yield step, int(epoch) if epoch is not None and 0 <= epoch < 2**53 else None, values
