"""A histogram as columns of block characters."""

from __future__ import annotations

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
