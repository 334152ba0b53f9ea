"""The verb's own output, kept apart from what the engine, user code and workers print."""

from __future__ import annotations

import errno
import io
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from torchdeck.engine.files.regular_file import open_for_appending

from .utf8 import ENCODING, ERRORS

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

# What a terminal gives once it is closed, and a pipe once nobody reads it.
_NOBODY_READS = (errno.EIO, errno.EPIPE)
_CURSOR_MOVEMENTS = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\r")


class PrivateOutput:
    """Redirects descriptors 1 and 2 to a log, and keeps the original ones as two files for the verb alone.

    Until the run's directory exists, the log is an unnamed temporary file; `move_log_to` copies its content.

    Attributes:
        stdout: file for the verb's output.
        stderr: file for the verb's errors and progress.
    """

    stdout: TextIO
    stderr: TextIO

    def __init__(self, *, outlives_readers: bool = False) -> None:
        """Enter it to redirect.

        Args:
            outlives_readers: whether the verb's own output goes to the log, too, once its terminal is closed or nobody
                reads its pipe. Without it, writing then raises OSError.
        """
        self._outlives_readers = outlives_readers
        self._on_terminal: list[int] = []
        self._lost: set[int] = set()

    def __enter__(self) -> PrivateOutput:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = {1: os.dup(1), 2: os.dup(2)}
        self._log = tempfile.TemporaryFile(mode="w+b", buffering=0)
        self.stdout, self.stderr = self._own_file(1), self._own_file(2)
        self._point_at(self._log.fileno())
        return self

    def _own_file(self, descriptor: int) -> TextIO:
        own = os.dup(descriptor)
        os.set_inheritable(own, False)
        if os.isatty(own):
            self._on_terminal.append(own)
        raw = _LastingFile(own, self._lose) if self._outlives_readers else io.FileIO(own, "w")
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding=ENCODING, errors=ERRORS, line_buffering=True)

    @property
    def is_lost(self) -> bool:
        """Whether output of the verb goes to the log by now, since nobody can read it elsewhere."""
        return bool(self._lost)

    def lose_terminal(self) -> None:
        """Send what goes to a terminal to the log from now on: the terminal was closed. Any number of times."""
        for descriptor in self._on_terminal:
            self._lose(descriptor)

    def _lose(self, descriptor: int) -> None:
        if descriptor not in self._lost:
            self._lost.add(descriptor)
            os.dup2(1, descriptor, inheritable=False)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in (self.stdout, self.stderr):
            stream.close()
        for descriptor, saved in self._saved.items():
            # What Python prints at its own end must not meet the closed terminal either.
            if not self._lost:
                os.dup2(saved, descriptor)
            os.close(saved)
        self._log.close()

    def move_log_to(self, path: Path) -> None:
        """Move the log to `path`: append the output so far, and redirect descriptors 1 and 2 there."""
        sys.stdout.flush()
        sys.stderr.flush()
        descriptor = open_for_appending(path)
        try:
            os.write(descriptor, self.logged())
            self._point_at(descriptor)
            for lost in self._lost:
                os.dup2(descriptor, lost, inheritable=False)
        finally:
            os.close(descriptor)

    def logged(self) -> bytes:
        """The output before the log moved."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0)

    @staticmethod
    def _point_at(descriptor: int) -> None:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)


class _LastingFile(io.FileIO):
    """A file whose owner redirects it when nobody reads it any more; what was written then follows."""

    def __init__(self, descriptor: int, on_lost: Callable[[int], object]) -> None:
        super().__init__(descriptor, "w")
        self._on_lost = on_lost

    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _NOBODY_READS:
                raise
        self._on_lost(self.fileno())
        size = memoryview(data).nbytes
        rest = memoryview(_CURSOR_MOVEMENTS.sub(b"", bytes(data)))
        while rest:
            rest = rest[super().write(rest) :]
        return size


def carry_over(source: Path, start: int, target: Path) -> None:
    """Append `source`, from byte `start` on, to `target`: the output from before a run had a log.

    Raises:
        OSError: a file can't be opened, read or written.
    """
    with source.open("rb") as before, os.fdopen(open_for_appending(target), "ab", buffering=0) as log:
        before.seek(start)
        while block := before.read(1 << 20):
            log.write(block)
