"""Shows the end of a growing text file."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Log, Static

from ..plain_text import printable
from ..polling import Poll

READ_EVERY = 0.25  # seconds, while the file grows
READ_SELDOM = 1.0  # seconds
_QUIET_READS = 8  # number of polls without new text after which the file counts as idle
_FIRST_BYTES = 256 * 1024
_MOST_BYTES = 1024 * 1024  # bytes per read
_LONGEST_LINE = 2000

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[PX^_][^\x1b]*(?:\x1b\\)?|[ -/]*[0-~])"
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class LogView(Widget):
    """Follows a file while it is visible; a line that is being rewritten (a progress bar) is shown below the others.

    It starts with the last part of a long file. Colors and cursor movements are removed.
    """

    DEFAULT_CSS = """
    LogView { height: 1fr; layout: vertical; }
    LogView > Log { height: 1fr; background: transparent; }
    LogView > #unfinished { height: 1; display: none; color: $text-muted; }
    LogView.-unfinished > #unfinished { display: block; }
    """

    def __init__(self, *, max_lines: int = 5000, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._max_lines = max_lines
        self._path: Path | None = None
        self._identity: tuple[int, int] | None = None
        self._offset = 0
        self._unfinished = b""
        self._poll: Poll | None = None
        self._reads_in_vain = 0

    def compose(self) -> ComposeResult:
        """Lay out the whole lines and the unfinished one."""
        yield Log(max_lines=self._max_lines, auto_scroll=True)
        yield Static(id="unfinished", markup=False)

    def follow(self, path: Path | None) -> None:
        """Follow another file (None: no file). It need not exist yet."""
        if path == self._path:
            return
        self._path = path
        self._restart()
        if self.is_mounted:
            self.read()

    def on_show(self) -> None:
        """Catch up and continue to read."""
        self.read()
        if self._poll is None:
            self._poll = Poll(self, self.read, lambda: self._reads_in_vain < _QUIET_READS, READ_EVERY, READ_SELDOM)
        self._poll.hurry()

    def on_hide(self) -> None:
        """Stop reading while the view is hidden."""
        if self._poll is not None:
            self._poll.stop()

    def read(self) -> None:
        """Read the text that was added since the last call."""
        self._reads_in_vain += 1
        if self._path is None:
            return
        try:
            self._read_added(self._path)
        except FileNotFoundError:
            return  # The file is created by the first output.
        except OSError as error:
            self._show_unfinished(f"{printable(str(self._path))}: {error.strerror}")

    def _read_added(self, path: Path) -> None:
        status = os.stat(path)
        if (status.st_dev, status.st_ino) != self._identity or status.st_size < self._offset:
            self._restart()
            self._identity = (status.st_dev, status.st_ino)
            self._offset = max(0, status.st_size - _FIRST_BYTES)
        if status.st_size == self._offset:
            return
        starts_inside = self._offset > 0 and not self.query_one(Log).line_count and not self._unfinished
        with open(path, "rb", opener=_without_waiting) as file:
            file.seek(self._offset)
            data = file.read(_MOST_BYTES)
        self._offset += len(data)
        self._reads_in_vain = 0
        self._take(data, starts_inside)

    def _take(self, data: bytes, starts_inside: bool) -> None:
        *lines, self._unfinished = (self._unfinished + data).split(b"\n")
        if starts_inside and lines:
            # The first bytes read from a long file belong to a line whose start was not read.
            lines = lines[1:]
        # A line that never ends must not grow without limit.
        self._unfinished = self._unfinished[-4 * _LONGEST_LINE :]
        if lines:
            self.query_one(Log).write_lines([readable_line(line) for line in lines])
        self._show_unfinished(readable_line(self._unfinished))

    def _show_unfinished(self, text: str) -> None:
        self.set_class(bool(text), "-unfinished")
        self.query_one("#unfinished", Static).update(text)

    def _restart(self) -> None:
        self._identity = None
        self._offset = 0
        self._unfinished = b""
        if self.is_mounted:
            self.query_one(Log).clear()
            self.remove_class("-unfinished")


def readable_line(line: bytes) -> str:
    """Reduce a line to what a terminal would show: text after the last carriage return, no control sequences."""
    text = _ESCAPE_SEQUENCE.sub("", line.decode("utf-8", errors="replace")).expandtabs()
    text = next((part for part in reversed(text.split("\r")) if part), "")
    text = _CONTROL.sub("", text)
    return text if len(text) <= _LONGEST_LINE else text[:_LONGEST_LINE] + "…"


def _without_waiting(path: str, flags: int) -> int:
    """Open a file, and nothing that is not one: a FIFO is waited for, and a device may have no end."""
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor
