"""The visible range of a chart's x axis, and the position of its cursor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Limits = tuple[float, float]

_ZOOM = 2.0
_NEAREST = 1e-4  # smallest visible range, as a share of the whole x axis


@dataclass(frozen=True)
class View:
    """The visible range of the x axis.

    Attributes:
        window: positions of the left and the right edge; None for the whole axis.
        follows: whether the right edge follows the newest point.
        cursor: position whose values the legend shows; None without a cursor.
    """

    window: Limits | None = None
    follows: bool = False
    cursor: float | None = None

    def limits(self, everything: Limits) -> Limits:
        """The edges of the range; `everything` reaches from the first point to the last."""
        if self.window is None:
            return everything
        low, high = self.window
        return (everything[1] - (high - low), everything[1]) if self.follows else self.window


def zoomed(view: View, everything: Limits, *, is_in: bool, at: float | None = None) -> View:
    """Halve or double the range around a position: by default the cursor, or else the newest visible point."""
    low, high = view.limits(everything)
    span = everything[1] - everything[0]
    width = (high - low) / _ZOOM if is_in else (high - low) * _ZOOM
    if width >= span or span <= 0:
        return replace(view, window=None, follows=False)
    width = max(width, span * _NEAREST)
    around = high if view.cursor is None else view.cursor
    around = around if at is None else at
    share = (around - low) / (high - low)
    return _placed(view, around - share * width, width, everything)


def zoomed_to(view: View, everything: Limits, ends: Limits) -> View:
    """Show the range between two positions, in any order; a range of no width changes nothing."""
    low, high = max(min(ends), everything[0]), min(max(ends), everything[1])
    width = max(high - low, (everything[1] - everything[0]) * _NEAREST)
    return view if width <= 0 else _placed(view, low, width, everything)


def moved(view: View, everything: Limits, positions: Sequence[float] | np.ndarray, columns: int, by: int) -> View:
    """Move the cursor by columns; it stops at points only, and the range follows it.

    Args:
        view: current view.
        everything: positions of the first and the last point.
        positions: positions of the points, ascending, at least one.
        columns: width of the plot.
        by: columns to the right; negative to the left. The cursor moves at least one point, unless it is 0: then it
            moves to the nearest point.
    """
    import numpy as np

    low, high = view.limits(everything)
    points = np.asarray(positions, dtype=np.float64)
    # The first press puts the cursor on the newest values.
    wanted = high if view.cursor is None else view.cursor + by * (high - low) / max(1, columns)
    before = max(0, int(np.searchsorted(points, wanted, side="right")) - 1)
    after = min(before + 1, len(points) - 1)
    nearest = before if wanted - points[before] <= points[after] - wanted else after
    if by and view.cursor is not None and points[nearest] == view.cursor:
        nearest = min(max(nearest + (1 if by > 0 else -1), 0), len(points) - 1)
    cursor = float(points[nearest])
    at = replace(view, cursor=cursor)
    if low <= cursor <= high or view.window is None:
        return replace(at, window=(low, high), follows=False) if view.window is not None else at
    return _placed(at, cursor - (high - low) / 2, high - low, everything)


def _placed(view: View, low: float, width: float, everything: Limits) -> View:
    """Return the view with a window of this width, inside the whole axis."""
    low = min(max(low, everything[0]), everything[1] - width)
    follows = view.cursor is None and low + width >= everything[1]
    return replace(view, window=(low, low + width), follows=follows)
