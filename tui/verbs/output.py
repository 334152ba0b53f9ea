"""One JSON document on stdout, for the verbs that print data."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import IO, Any

# DEL and C1 controls, marks that change the direction of text, lone surrogates. json escapes the C0 controls itself.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def print_json(document: Any, file: IO[str] | None = None) -> None:
    """Print one JSON document. Numbers that JSON lacks (NaN, infinity) become null.

    Characters that control a terminal, and bytes of a file's name that are not valid text, get JSON escapes.
    """
    text = json.dumps(_plain(document), ensure_ascii=False, indent=2)
    print(_UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text), file=file)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value
