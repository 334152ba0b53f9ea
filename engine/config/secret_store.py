"""The one file that holds secret settings, such as the address of a webhook, for the configs that refer to them.

It lies in the user's state folder, is readable by its owner only, and is never part of a run: a run's directory can be
shared. A config holds a reference in place of the value, `secret:` and twelve hexadecimal digits. They are random, so
they say nothing about the value; the same value is always given the same reference.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..files.documents import DocumentError, read_json_object
from ..files.durable import atomic_write
from ..files.state_folder import state_folder

_REFERENCE = re.compile(r"secret:[0-9a-f]{12}")
_MAX_BYTES = 16 << 20
# Values that could not be written: this process can use them all the same.
_UNSAVED: dict[str, str] = {}


def is_reference(text: str) -> bool:
    """Whether a setting's text stands for a value in the store."""
    return _REFERENCE.fullmatch(text) is not None


class SecretStore:
    """Values of secret settings by reference.

    Attributes:
        file: where they are kept.
    """

    def __init__(self, file: Path | None = None) -> None:
        """`file`: where they are kept; None for the user's state folder."""
        self.file = file or state_folder() / "secrets.json"

    def value_of(self, reference: str) -> str | None:
        """The value that a reference stands for; None where this machine does not have it."""
        if reference in _UNSAVED:
            return _UNSAVED[reference]
        try:
            return self._read().get(reference)
        except (OSError, DocumentError):
            return None

    def keep(self, value: str) -> str:
        """Keep a value. Returns its reference.

        Raises:
            OSError: it can't be written.
            DocumentError: the file is damaged, and is left as it is.
        """
        with self._locked():
            known = self._read()
            for reference, kept in known.items():
                if kept == value:
                    return reference
            reference = _new_reference()
            content = json.dumps({"secrets": {**known, reference: value}}, indent=1).encode()
            atomic_write(self.file, content, mode=0o600)
        return reference

    def keep_in_process(self, value: str) -> str:
        """Keep a value for this process only. Returns its reference."""
        for reference, kept in _UNSAVED.items():
            if kept == value:
                return reference
        reference = _new_reference()
        _UNSAVED[reference] = value
        return reference

    def _read(self) -> dict[str, str]:
        try:
            if self.file.lstat().st_uid != os.getuid():
                raise PermissionError(f"{self.file}: belongs to another user")
            entries = read_json_object(self.file, _MAX_BYTES).get("secrets")
        except FileNotFoundError:
            return {}
        if not isinstance(entries, dict):
            raise DocumentError("has no table 'secrets'")
        return {key: value for key, value in entries.items() if isinstance(value, str) and is_reference(key)}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Two runs that start at once must not each write the file without the other's value."""
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(self.file.with_suffix(".lock"), flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _new_reference() -> str:
    return f"secret:{secrets.token_hex(6)}"
