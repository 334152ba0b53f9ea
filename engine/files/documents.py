"""JSON and TOML that somebody else may have written: what reading takes grows as the text does.

Python's own readers recurse into what is nested, so that a kilobyte of brackets is a RecursionError, there or in
whatever walks the result; a long dotted key takes memory by the square of its length, and a long number an error of
its own. Here each of them is a `DocumentError` with a reason.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from .regular_file import read_regular_file

MAX_DEPTH = 64
"""Levels of brackets."""
_MAX_CONTAINERS = 2_000_000
_MAX_KEY_PARTS = 32
# A shorter text is read before a faster reader would have been imported.
_LONG_JSON = 512
_NOT_READ = object()

# A text without an end is one up to the end: each is looked at once, and the reader proper refuses it.
_JSON_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_TOML_TEXT = re.compile(
    r'"""[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*(?:""")?'
    r"|'''[^']*(?:'(?!'')[^']*)*(?:''')?"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"?'
    r"|'[^'\n]*'?"
    r"|\#[^\n]*",
    re.DOTALL,
)
_LONG_KEY = re.compile(rf"\.(?:[^.=\n,\]}}]*\.){{{_MAX_KEY_PARTS - 1}}}")
# All brackets as square ones, and nothing else.
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class DocumentError(ValueError):
    """A text is no document of its kind, or one that nobody would write by hand or with torchdeck."""


def parse_json(text: bytes | str) -> Any:
    """The value of a JSON text. Raises DocumentError."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if _opening_brackets(data) > MAX_DEPTH:
        # Most texts hold fewer brackets than may be nested, and need no closer look.
        _check_depth(_JSON_TEXT.sub(b"", data))
    if len(data) >= _LONG_JSON and (value := _fast_json(data)) is not _NOT_READ:
        return value
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not valid JSON: {error}"[:200]) from None


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text. Raises DocumentError; its text has the line where TOML's rules are broken."""
    bare = _TOML_TEXT.sub("", text)
    _check_depth(bare.encode("utf-8", "surrogatepass"))
    if found := _LONG_KEY.search(bare):
        line = bare.count("\n", 0, found.start()) + 1
        raise DocumentError(f"not valid here: a key of more than {_MAX_KEY_PARTS} parts (at about line {line})")
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not valid TOML: {error}"[:200]) from None


def read_json_object(path: Path | str, max_bytes: int) -> dict[str, Any]:
    """A JSON object from a regular file.

    Raises:
        OSError: it can't be read, or is larger than allowed.
        DocumentError: it is no JSON object.
    """
    value = parse_json(read_regular_file(path, max_bytes))
    if not isinstance(value, dict):
        raise DocumentError("not a JSON object")
    return value


def read_toml(path: Path, max_bytes: int, *, follow_links: bool = False) -> dict[str, Any]:
    """The table of a TOML file. Raises OSError and DocumentError as `read_json_object` does."""
    return parse_toml(decoded(read_regular_file(path, max_bytes, follow_links=follow_links)))


def decoded(content: bytes) -> str:
    """UTF-8 as text. Raises DocumentError."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8 text: byte {error.start} is 0x{content[error.start]:02x}") from None


def _fast_json(data: bytes) -> Any:
    """The value of a JSON text, in a third of the time that Python's own reader takes; `_NOT_READ` where only that one
    can say what the text is or what is wrong with it."""
    from pydantic_core import from_json

    try:
        return from_json(data, cache_strings="keys")
    except ValueError:
        return _NOT_READ


def _opening_brackets(data: bytes) -> int:
    return data.count(b"[") + data.count(b"{")


def _check_depth(data: bytes) -> None:
    """Raise DocumentError when brackets are nested too deep, or are too many; texts must have been taken out."""
    brackets = data.translate(_AS_SQUARE, _NO_BRACKETS)
    if brackets.count(b"[") > _MAX_CONTAINERS:
        raise DocumentError(f"holds more than {_MAX_CONTAINERS:,} lists and tables")
    # Each round takes the innermost level out, at the speed of a search in bytes.
    for _ in range(MAX_DEPTH):
        without = brackets.replace(b"[]", b"")
        if len(without) == len(brackets):
            break
        brackets = without
    if b"[]" in brackets or brackets.count(b"[") > MAX_DEPTH:
        raise DocumentError(f"is nested more than {MAX_DEPTH} deep")
