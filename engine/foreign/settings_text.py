"""Settings that other trainers write as YAML, as far as it is lines of `key: value`: no YAML library, no code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..files.documents import DocumentError, parse_json
from ..files.regular_file import read_regular_file

_MOST_BYTES = 1 << 20
_MOST_LINES = 5000
_CONSTANTS = {"true": True, "false": False, "null": None, "~": None, "": None}


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a file: scalars at any depth, lists as their text; what is beyond that is left out."""
    try:
        text = read_regular_file(path, _MOST_BYTES, follow_links=True).decode("utf-8", "replace")
    except OSError:
        return {}
    root: dict[str, Any] = {}
    # Tables that are open, with the indentation of their keys' parent.
    stack: list[tuple[int, dict[str, Any]]] = [(-1, root)]
    for line in text.split("\n")[:_MOST_LINES]:
        bare = line.strip()
        if not bare or bare.startswith(("#", "-", "%", "!")):
            continue
        key, colon, value = bare.partition(":")
        if not colon or (value and not value.startswith(" ")):
            continue
        indent = len(line) - len(line.lstrip())
        while stack[-1][0] >= indent:
            stack.pop()
        value = value.strip()
        name = key.strip("'\" ")
        if value and not value.startswith(("!", "&")):
            stack[-1][1][name] = _scalar(value)
        elif len(stack) < 16:
            inner: dict[str, Any] = {}
            stack[-1][1][name] = inner
            stack.append((indent, inner))
    return _without_empty(root)


def _scalar(text: str) -> Any:
    if text[0] in "'\"" and text[-1] == text[0] and len(text) > 1:
        return text[1:-1]
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    try:
        return int(text) if text.lstrip("+-").isdecimal() else float(text)
    except ValueError:
        pass
    try:
        return parse_json(text) if text[0] in "[{" else text
    except DocumentError:
        return text


def _without_empty(table: dict[str, Any]) -> dict[str, Any]:
    found = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in found.items() if value not in ({}, None)}
