"""JSON of numbers that may be NaN or infinite, which JSON has no literals for: they are written as strings."""

from __future__ import annotations

import json
import math
from typing import Any

_LARGEST_COUNT = 2**53
_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: Any, indent: int | None = None) -> bytes:
    """`value` as valid JSON in UTF-8, on one line unless indented.

    Raises:
        TypeError: it holds something other than dicts, lists, tuples, strings, numbers, booleans and None.
    """
    separators = (",", ":") if indent is None else None
    try:
        text = json.dumps(value, allow_nan=False, separators=separators, indent=indent)
    except ValueError:
        # The common case is finite and is encoded at C speed; only a value that isn't pays for the walk.
        text = json.dumps(_numbers_named(value), allow_nan=False, separators=separators, indent=indent)
    return text.encode()


def numbers_restored(value: Any) -> Any:
    """`value` as read by `json.loads`, with the strings that stand for NaN and infinity as floats again."""
    if isinstance(value, str):
        return _NAMES.get(value, value)
    if isinstance(value, dict):
        return {key: numbers_restored(item) for key, item in value.items()}
    if isinstance(value, list):
        return [numbers_restored(item) for item in value]
    return value


def number(value: Any) -> float | None:
    """A number as read by `json.loads`, as a float; None for anything else, and for one that no float holds."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def numbers(values: Any) -> dict[str, float]:
    """The numbers of a dict, by name."""
    if not isinstance(values, dict):
        return {}
    found = {str(name): number(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}


def whole_number(value: Any) -> int:
    """A count as read by `json.loads`; 0 for what is none, and for one that a float would round."""
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _LARGEST_COUNT
    return value if is_count else 0


def _numbers_named(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if isinstance(value, dict):
        return {key: _numbers_named(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers_named(item) for item in value]
    return value
