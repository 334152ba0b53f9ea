"""The verb's own output, kept apart from what the engine, user code and workers print."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TextIO

from torchdeck.engine.files.regular_file import open_for_appending

from .utf8 import ENCODING, ERRORS


class PrivateOutput:
    """Redirects descriptors 1 and 2 to a log, and keeps the original ones as two files for the verb alone.

    Until the run's directory exists, the log is an unnamed temporary file; `move_log_to` copies its content.

    Attributes:
        stdout: file for the verb's output.
        stderr: file for the verb's errors and progress.
    """

    stdout: TextIO
    stderr: TextIO

    def __enter__(self) -> PrivateOutput:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = {1: os.dup(1), 2: os.dup(2)}
        self.stdout = os.fdopen(os.dup(1), "w", encoding=ENCODING, errors=ERRORS, buffering=1)
        self.stderr = os.fdopen(os.dup(2), "w", encoding=ENCODING, errors=ERRORS, buffering=1)
        self._log = tempfile.TemporaryFile(mode="w+b", buffering=0)
        self._point_at(self._log.fileno())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        for stream in (self.stdout, self.stderr):
            stream.close()
        for descriptor, saved in self._saved.items():
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


def carry_over(source: Path, start: int, target: Path) -> None:
    """Append `source`, from byte `start` on, to `target`: the output from before a run had a log.

    Raises:
        OSError: a file can't be opened, read or written.
    """
    with source.open("rb") as before, os.fdopen(open_for_appending(target), "ab", buffering=0) as log:
        before.seek(start)
        while block := before.read(1 << 20):
            log.write(block)
