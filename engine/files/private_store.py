"""A table of texts that only its owner reads and writes, in one JSON file that outlives every session."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from .documents import DocumentError, read_json_object
from .durable import atomic_write
from .exclusive import locked

_MAX_BYTES = 16 << 20


class PrivateStore:
    """Texts by key, in a file of the user.

    Attributes:
        file: where they are kept.
    """

    def __init__(self, file: Path, table: str) -> None:
        """`table`: the key of the file's one object that holds the texts."""
        self.file = file
        self._table = table

    def entries(self) -> dict[str, str]:
        """What is kept; nothing where the file isn't there.

        Raises:
            OSError: it can't be read, or belongs to another user.
            DocumentError: it is damaged.
        """
        try:
            if self.file.lstat().st_uid != os.getuid():
                raise PermissionError(f"{self.file}: belongs to another user")
            entries = read_json_object(self.file, _MAX_BYTES).get(self._table)
        except FileNotFoundError:
            return {}
        if not isinstance(entries, dict):
            raise DocumentError(f"has no table '{self._table}'")
        return {key: text for key, text in entries.items() if isinstance(text, str)}

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Hold off other processes from a reading of the entries to their writing. Raises OSError, after a while."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self.file.with_suffix(".lock"), str(self.file)):
            yield

    def write(self, entries: Mapping[str, str]) -> None:
        """Replace what is kept; only while `alone`. Raises OSError."""
        content = json.dumps({self._table: dict(entries)}, indent=1).encode()
        atomic_write(self.file, content, mode=0o600)
