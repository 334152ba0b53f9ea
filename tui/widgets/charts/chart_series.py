"""One line of a chart: points, color and smoothed values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .plot import Curve
from .series import exponential_average

if TYPE_CHECKING:
    import numpy as np

# Places of a band: more than a chart has columns of dots.
_SHADED_POINTS = 600


@dataclass
class ChartSeries:
    """Points in ascending order.

    Attributes:
        x: positions, float64 [N], all finite.
        y: values, float64 [N].
        color: CSS color or theme variable.
        is_smoothed: whether smoothing applies.
        signature: equal for two series that look the same.
        band: lower and upper edge of what is shaded around the line, float64 [N] each; None for no band.
    """

    x: np.ndarray
    y: np.ndarray
    color: str
    is_smoothed: bool
    signature: tuple[object, ...]
    band: tuple[np.ndarray, np.ndarray] | None = None
    _average: tuple[float, np.ndarray] | None = None

    def smoothed(self, weight: float) -> np.ndarray:
        """The exponential average of the values, cached until the weight changes; with weight 0, the raw values."""
        if not (weight and self.is_smoothed):
            return self.y
        if self._average is None or self._average[0] != weight:
            self._average = (weight, exponential_average(self.y, weight))
        return self._average[1]

    def within(self, window: tuple[float, float] | None) -> slice:
        """The slice of points between two positions; all points for None."""
        import numpy as np

        if window is None:
            return slice(None)
        return slice(int(np.searchsorted(self.x, window[0])), int(np.searchsorted(self.x, window[1], side="right")))

    def value(self, weight: float, at: float | None) -> float:
        """The value at a position, or the newest one before it; NaN if there is none. For None, the last value."""
        import numpy as np

        index = len(self.x) - 1 if at is None else int(np.searchsorted(self.x, at, side="right")) - 1
        return float(self.smoothed(weight)[index]) if index >= 0 else math.nan


def series_of(
    name: str,
    x: Sequence[float] | np.ndarray,
    y: Sequence[float] | np.ndarray,
    color: str,
    *,
    is_smoothed: bool,
    band: tuple[np.ndarray, np.ndarray] | None = None,
) -> ChartSeries:
    """Make a line from the arguments of `Chart.set_series`. Raises ValueError if x and y differ in length."""
    import numpy as np

    x_values = np.asarray(x, dtype=np.float64)
    y_values = np.asarray(y, dtype=np.float64)
    if x_values.shape != y_values.shape:
        raise ValueError(f"series {name!r}: {len(x_values)} positions but {len(y_values)} values")
    if not bool(np.isfinite(x_values).all()):
        has_place = np.isfinite(x_values)
        x_values, y_values = x_values[has_place], y_values[has_place]
    if len(x_values) > 1 and not bool((x_values[1:] >= x_values[:-1]).all()):
        order = np.argsort(x_values, kind="stable")
        x_values, y_values = x_values[order], y_values[order]
    ends = (x_values[0], x_values[-1], repr(y_values[-1])) if len(x_values) else ()
    with np.errstate(invalid="ignore", over="ignore"):
        total = repr(np.nansum(y_values))
    edges = tuple(repr(float(np.nansum(edge))) for edge in band) if band is not None else ()
    signature = (len(x_values), *ends, total, color, is_smoothed, *edges)
    return ChartSeries(x_values, y_values, color, is_smoothed, signature, band)


def drawn_curves(
    lines: Iterable[ChartSeries], smoothing: float, window: tuple[float, float] | None, *, log_y: bool
) -> list[tuple[Curve, str]]:
    """What is drawn of the lines, each curve with its color: the faint raw values of smoothed lines below all others.

    Args:
        lines: lines in their order.
        smoothing: weight of the exponential average; 0 for raw values only.
        window: visible range; None for everything.
        log_y: whether the curves are exponents of ten.
    """
    import numpy as np

    curves: list[tuple[Curve, str]] = []
    for line in lines:
        shown = line.within(window)
        if line.band is not None:
            curves.append((_shading(line.x[shown], line.band[0][shown], line.band[1][shown]), line.color))
        if smoothing and line.is_smoothed:
            curves.append((Curve(line.x[shown], line.y[shown], is_faint=True), line.color))
        curves.append((Curve(line.x[shown], line.smoothed(smoothing)[shown]), line.color))
    for curve, _ in curves:
        with np.errstate(divide="ignore", invalid="ignore"):
            y = np.log10(curve.y) if log_y else curve.y
        curve.y = np.where(np.isfinite(y), y, np.nan)
    return sorted(curves, key=lambda pair: not pair[0].is_faint)


def _shading(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> Curve:
    """A faint line that goes up and down between two edges, closely enough to fill what lies between them."""
    import numpy as np

    if len(x) > 1 and len(x) < _SHADED_POINTS:
        positions = np.linspace(x[0], x[-1], _SHADED_POINTS)
        x, low, high = positions, np.interp(positions, x, low), np.interp(positions, x, high)
    return Curve(np.repeat(x, 2), np.stack((low, high), axis=1).ravel(), is_faint=True)
