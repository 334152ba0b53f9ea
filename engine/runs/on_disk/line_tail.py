"""Reading a growing file of JSON lines: only what is new, only whole lines, whatever happens to the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...files.documents import DocumentError, parse_json
from ...files.regular_file import open_regular_file

_PIECE_BYTES = 4 << 20
_MAX_LINE_BYTES = 32 << 20


@dataclass
class LineTail:
    """Position up to which a file has been read.

    Attributes:
        path: the file.
        skipped: whole lines that were not JSON objects.
        was_replaced: whether the last look found another or a shorter file, to be read from its beginning.
    """

    path: Path
    skipped: int = 0
    was_replaced: bool = False
    _offset: int = 0
    _identity: tuple[int, int] | None = None
    _size: int = field(default=-1)
    _has_more: bool = False

    @property
    def offset(self) -> int:
        """Bytes of the file that were read, up to the end of a line."""
        return self._offset

    @property
    def has_more(self) -> bool:
        """Whether the last `read` stopped before the end."""
        return self._has_more

    def start_at(self, offset: int, skipped: int) -> None:
        """Read on behind what is known already. Right after a `look` that found the file."""
        self._offset, self.skipped = offset, skipped

    def look(self) -> bool:
        """Whether there is something new; one `stat`. Sets `was_replaced`."""
        self.was_replaced = False
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except OSError:
            if self._identity is None:
                return False
            self._begin_again(None)
            return True
        identity = (status.st_dev, status.st_ino)
        if identity != self._identity or status.st_size < self._offset:
            # A first look at a file is not a replacement.
            had_one = self._identity is not None
            self._begin_again(identity)
            self.was_replaced = had_one
            return True
        return status.st_size != self._size

    def read(self, max_bytes: int | None = None) -> Iterator[dict[str, Any]]:
        """The objects on the whole lines that are new. Raises nothing; what can't be read is not there yet.

        Args:
            max_bytes: stop after about this many bytes; the next `look` finds the rest. None for all.
        """
        try:
            descriptor = open_regular_file(self.path)
        except OSError:
            return
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) != self._identity:
                return
            file.seek(self._offset)
            rest, begun_at, self._has_more = b"", self._offset, False
            while piece := file.read(_PIECE_BYTES):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    self._offset += len(line) + 1
                    if (record := self._parsed(line)) is not None:
                        yield record
                if len(rest) > _MAX_LINE_BYTES:
                    # No line of ours is that long; its end, when it comes, counts as one more unreadable line.
                    self._offset += len(rest)
                    rest = b""
                if max_bytes is not None and self._offset - begun_at >= max_bytes:
                    self._has_more = self._offset + len(rest) < status.st_size
                    break
            self._size = self._offset + len(rest)

    def _parsed(self, line: bytes) -> dict[str, Any] | None:
        try:
            record = parse_json(line)
        except DocumentError:
            record = None
        if not isinstance(record, dict):
            self.skipped += 1
            return None
        return record

    def _begin_again(self, identity: tuple[int, int] | None) -> None:
        self.was_replaced = True
        self._identity, self._offset, self._size, self.skipped = identity, 0, -1, 0
