"""The end of a growing text file, as a terminal would have shown it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from torchdeck.engine.files.regular_file import open_regular_file

_FIRST_BYTES = 256 * 1024
_MOST_BYTES = 1024 * 1024  # bytes per read
_LONGEST_LINE = 2000
_MOST_LINES = 5000

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class TailedFile:
    """Reads what is added to a file; starts with the last part of a long one.

    Attributes:
        lines: the newest whole lines, without colors and cursor movements.
        unfinished: the line that is not ended yet, such as a progress bar.
        problem: why the file can't be read; empty if it can, or if it is not there yet.
        count: number of lines so far, those that were dropped included.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.unfinished = ""
        self.problem = ""
        self.count = 0
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._rest = b""

    def read(self) -> bool:
        """Read what was added since the last call. Returns whether anything changed."""
        before = (self.count, self.unfinished, self.problem)
        try:
            self._read_added()
            self.problem = ""
        except FileNotFoundError:
            # The file is created by the first output.
            self.problem = ""
        except OSError as error:
            self.problem = f"{self.path}: {error.strerror or error}"
        return (self.count, self.unfinished, self.problem) != before

    def _read_added(self) -> None:
        status = os.stat(self.path)
        if (status.st_dev, status.st_ino) != self._identity or status.st_size < self._offset:
            self._forget()
            self._identity = (status.st_dev, status.st_ino)
            self._offset = max(0, status.st_size - _FIRST_BYTES)
        if status.st_size == self._offset and self.count:
            return
        starts_inside = self._offset > 0 and not self.lines and not self._rest
        with open(open_regular_file(self.path, follow_links=True), "rb") as file:
            file.seek(self._offset)
            data = file.read(_MOST_BYTES)
        self._offset += len(data)
        self._take(data, starts_inside=starts_inside)

    def _take(self, data: bytes, *, starts_inside: bool) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if starts_inside and lines:
            # The first bytes read from a long file belong to a line whose start was not read.
            lines = lines[1:]
        # A line that never ends must not grow without limit.
        self._rest = self._rest[-4 * _LONGEST_LINE :]
        self.count += len(lines)
        self.lines = [*self.lines, *map(readable_line, lines)][-_MOST_LINES:]
        self.unfinished = readable_line(self._rest)

    def _forget(self) -> None:
        self.lines, self.unfinished, self.problem, self.count = [], "", "", 0
        self._identity, self._offset, self._rest = None, 0, b""


def readable_line(line: bytes) -> str:
    """Reduce a line to what a terminal would show: text after the last carriage return, no control sequences."""
    text = _ESCAPE_SEQUENCE.sub("", line.decode("utf-8", errors="replace")).expandtabs()
    text = next((part for part in reversed(text.split("\r")) if part), "")
    text = _CONTROL.sub("", text)
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "…"
