"""Reading a growing file of another program: only what is new, whatever happens to the file."""

from __future__ import annotations

import os
from pathlib import Path

from ..files.regular_file import open_regular_file

PIECE_BYTES = 4 << 20
_HEAD_BYTES = 1024


class FileTail:
    """Position up to which a file has been read.

    Attributes:
        path: the file.
        offset: bytes that were taken.
        was_replaced: whether the last `read` found another file in its place, a shorter one, or another beginning.
        has_more: whether there is more than the last `read` gave.
        problem: why it can't be read; empty when it can, or is not there yet.
        modified: when it was last changed, in seconds since 1970.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self.was_replaced = False
        self.has_more = False
        self.problem = ""
        self.modified = 0.0
        self._identity: tuple[int, int] | None = None
        self._head = b""
        self._seen: tuple[int, int] = (-1, -1)

    def read(self, max_bytes: int = PIECE_BYTES) -> bytes:
        """The bytes behind what was taken, `max_bytes` at most; empty when nothing changed since they were all seen.

        Nothing is taken: see `take`.
        """
        self.was_replaced = self.has_more = False
        try:
            # By way of a link, too: programs link to their newest run.
            descriptor = open_regular_file(self.path, follow_links=True)
        except FileNotFoundError:
            self._begin_again(None)
            return b""
        except OSError as error:
            self.problem = f"{self.path.name}: {error.strerror or error}"
            return b""
        self.problem = ""
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            self.modified = status.st_mtime
            head = os.pread(descriptor, _HEAD_BYTES, 0)
            identity = (status.st_dev, status.st_ino)
            if identity != self._identity or status.st_size < self.offset or not head.startswith(self._head):
                self._begin_again(identity)
            self._head = head if len(head) > len(self._head) else self._head
            file.seek(self.offset)
            content = file.read(max_bytes)
            self.has_more = self.offset + len(content) < status.st_size
        return content

    def take(self, count: int) -> None:
        """Take bytes, at the beginning of the last read or behind it: the next read begins behind them."""
        self.offset += count

    def has_changed(self) -> bool:
        """Whether the file was written to since the last call; one `stat`."""
        try:
            status = os.stat(self.path)
        except OSError:
            return self._identity is not None
        seen = (status.st_mtime_ns, status.st_size)
        is_new, self._seen = seen != self._seen, seen
        return is_new

    def _begin_again(self, identity: tuple[int, int] | None) -> None:
        self.was_replaced = self._identity is not None
        self._identity, self.offset, self._head = identity, 0, b""


def newest(paths: list[Path]) -> float:
    """When the newest of some files was changed, in seconds since 1970; 0 if there is none."""
    times = [0.0]
    for path in paths:
        try:
            times.append(os.stat(path).st_mtime)
        except OSError:
            continue
    return max(times)
