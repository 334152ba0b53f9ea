"""One JSON document on stdout, for the verbs that print data."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import IO, Any


def print_json(document: Any, file: IO[str] | None = None) -> None:
    """Print one JSON document. Numbers that JSON lacks (NaN, infinity) become null."""
    print(json.dumps(_plain(document), ensure_ascii=False, indent=2), file=file)


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
