"""Numbers as one line of bars."""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float]) -> str:
    """Draw one cell per value (at least 0), in eighths of the largest; only a zero is blank."""
    largest = max(values, default=0) or 1
    return "".join(_EIGHTHS[max(round(value / largest * 8), 1 if value > 0 else 0)] for value in values)
