"""Output of our own, kept apart from what the engine, user code and workers print."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import TextIO

from .utf8 import ENCODING, ERRORS


class PrivateOutput:
    """Takes descriptors 1 and 2 for a log; what they were goes on as two files that only we write to.

    Until the run's directory exists the log is a nameless temporary file; `move_log_to` carries what it holds over.

    Attributes:
        stdout: where the verb prints.
        stderr: where the verb prints its errors and its progress.
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
        """From here on descriptors 1 and 2 append to `path`, after what they have written so far."""
        sys.stdout.flush()
        sys.stderr.flush()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, self.logged())
            self._point_at(descriptor)
        finally:
            os.close(descriptor)

    def logged(self) -> bytes:
        """What was printed before the log moved."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0)

    @staticmethod
    def _point_at(descriptor: int) -> None:
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)


def carry_over(source: Path, start: int, target: Path) -> None:
    """Append to `target` what `source` holds from byte `start` on: what was printed before a run had a log.

    Raises:
        OSError: either can't be opened, read or written.
    """
    with source.open("rb") as before, target.open("ab", buffering=0) as log:
        before.seek(start)
        while block := before.read(1 << 20):
            log.write(block)
