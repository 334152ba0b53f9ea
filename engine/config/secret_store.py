"""The one file that holds secret settings, such as the address of a webhook, for the configs that refer to them.

It lies in the user's state folder, is readable by its owner only, and is never part of a run: a run's directory can be
shared. A config holds a reference in place of the value, `secret:` and twelve hexadecimal digits. They are random, so
they say nothing about the value; the same value is always given the same reference.
"""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from ..files.private_store import PrivateStore
from ..files.state_folder import state_folder

_REFERENCE = re.compile(r"secret:[0-9a-f]{12}")
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
        self._store = PrivateStore(file or state_folder() / "secrets.json", "secrets")
        self.file = self._store.file

    def value_of(self, reference: str) -> str | None:
        """The value that a reference stands for; None where this machine does not have it.

        Raises:
            OSError: the file can't be read.
            DocumentError: it is damaged.
        """
        if reference in _UNSAVED:
            return _UNSAVED[reference]
        return self._store.entries().get(reference)

    def keep(self, value: str) -> str:
        """Keep a value. Returns its reference.

        Raises:
            OSError: it can't be written.
            DocumentError: the file is damaged, and is left as it is.
        """
        with self._store.alone():
            known = self._store.entries()
            for reference, kept in known.items():
                if kept == value and is_reference(reference):
                    return reference
            reference = _new_reference()
            self._store.write({**known, reference: value})
        return reference

    def keep_in_process(self, value: str) -> str:
        """Keep a value for this process only. Returns its reference."""
        for reference, kept in _UNSAVED.items():
            if kept == value:
                return reference
        reference = _new_reference()
        _UNSAVED[reference] = value
        return reference


def _new_reference() -> str:
    return f"secret:{secrets.token_hex(6)}"
