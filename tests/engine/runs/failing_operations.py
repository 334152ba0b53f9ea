"""File operations that fail, or kill the process, at the n-th call."""

from __future__ import annotations

import os
from pathlib import Path

from torchdeck.engine.files.durable import FileOperations

KILLED = 77


class FailingOperations(FileOperations):
    """Raises `OSError(error)` in call number `at`, counted from 1; a failing write writes half first.

    With `error` None the process ends there instead, as if by SIGKILL.
    """

    def __init__(self, at: int, error: int | None) -> None:
        self.at = at
        self.error = error
        self.calls = 0
        self.failed = ""

    def _count(self, name: str) -> None:
        self.calls += 1
        if self.calls != self.at:
            return
        self.failed = name
        if self.error is None:
            os._exit(KILLED)
        raise OSError(self.error, os.strerror(self.error))

    def open(self, path: Path, flags: int, mode: int = 0o644) -> int:
        self._count("open")
        return super().open(path, flags, mode)

    def write(self, descriptor: int, data: memoryview) -> int:
        if self.calls + 1 == self.at:
            super().write(descriptor, data[: len(data) // 2])
        self._count("write")
        return super().write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        self._count("fsync")
        super().fsync(descriptor)

    def fdatasync(self, descriptor: int) -> None:
        self._count("fdatasync")
        super().fdatasync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        self._count("rename")
        super().rename(source, target)

    def link(self, source: Path, target: Path) -> None:
        self._count("link")
        super().link(source, target)

    def unlink(self, path: Path) -> None:
        self._count("unlink")
        super().unlink(path)
