"""Which settings hold secrets, and how a text that may hold one is shown.

A secret setting is marked with `HoldsSecret` where it is defined. Its value is a literal, the name of an environment
variable (`$NAME`), or a reference to the secret store. Only a literal has to be hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

from .run import RunConfig
from .secret_store import is_reference
from .section import HoldsSecret

REDACTED = "[redacted]"
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|\{[A-Za-z_]\w*\})")


@cache
def secret_keys() -> tuple[str, ...]:
    """Dotted keys of the settings that hold secrets."""
    return tuple(_marked_keys(RunConfig, ""))


def is_literal(value: Any) -> bool:
    """Whether a secret setting's value is the secret itself. Anything but text counts as one."""
    if not isinstance(value, str):
        return value is not None
    return bool(value.strip()) and not is_reference(value) and _VARIABLE.fullmatch(value) is None


def is_hidden(key: str, value: Any) -> bool:
    """Whether the value of a setting by its dotted key is a secret itself, so that nothing may show it."""
    return key in secret_keys() and is_literal(value)


def is_secret_place(loc: Sequence[str | int]) -> bool:
    """Whether a value at a path of keys holds a secret: it is one, is part of one, or is in the place of a section."""
    path = ".".join(str(part) for part in loc)
    return any(f"{key}.".startswith(f"{path}.") or path.startswith(f"{key}.") for key in secret_keys()) and bool(path)


def hidden_in_line(line: str) -> str:
    """A line of a config or an assignment for a message, cut behind the name of the first secret setting in it."""
    names = "|".join(re.escape(name) for key in secret_keys() for name in {key, key.rpartition(".")[2]})
    found = re.search(rf"(?<![\w-])(?:{names})(?![\w-])", line)
    return f"{line[: found.end()]} {REDACTED}" if found and line[found.end() :].strip() else line


def hides_section(section: str) -> bool:
    """Whether a line of this section of a config file may be part of a secret that began on an earlier line."""
    return any(key.startswith(f"{section}.") for key in secret_keys())


def _marked_keys(section: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in section.model_fields.items():
        if any(isinstance(mark, HoldsSecret) for mark in field.metadata):
            yield f"{prefix}{name}"
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from _marked_keys(field.annotation, f"{prefix}{name}.")
