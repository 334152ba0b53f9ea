"""A histogram as columns of block characters, and a one-line curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def histogram_lines(bins: Sequence[int], height: int) -> list[str]:
    """Draw one column per bin, the fullest `height` lines high; a bin that is not empty is always visible."""
    most = max(bins, default=0)
    if not most:
        return []
    eighths = [max(1, round(count / most * height * 8)) if count else 0 for count in bins]
    return [
        "".join(_EIGHTHS[min(max(column - 8 * line, 0), 8)] for column in eighths)
        for line in range(height - 1, -1, -1)
    ]


def curve_line(values: Sequence[float], width: int) -> str:
    """Draw the newest values as one line, on a log scale from smallest to largest; "!" is a non-finite value."""
    newest = list(values)[-width:]
    logs = [math.log10(value) if value > 0 and math.isfinite(value) else None for value in newest]
    known = [value for value in logs if value is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return "".join(
        ("!" if not math.isfinite(value) else " ")
        if log is None
        else _EIGHTHS[1 + round((log - low) / span * 7) if span > 0 else 4]
        for value, log in zip(newest, logs, strict=True)
    )
