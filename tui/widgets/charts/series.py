"""The numbers behind a chart: reducing a long series to its columns, smoothing it, and placing ticks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_BLOCK = 128
_OUTLIERS = 0.03  # share of the values at an end of the y axis that may be left out
_SAMPLED = 10_000  # values that this is judged by
_WORTH_LEAVING_OUT = 0.25  # share of the axis that they take otherwise


def finite_range(values: np.ndarray) -> tuple[float, float] | None:
    """Return the smallest and the largest finite value, or None if there is none."""
    import numpy as np

    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else None


def range_without_outliers(values: np.ndarray) -> tuple[float, float] | None:
    """Return the range of the finite values without those few at an end that would take a large part of an axis.

    At most 3 % of the values are left out at each end, and only where they would take more than a quarter of it.
    """
    import numpy as np

    everything = finite_range(values)
    if everything is None:
        return None
    finite = values[np.isfinite(values)]
    finite = finite[:: max(1, len(finite) // _SAMPLED)]
    few = int(len(finite) * _OUTLIERS)
    if not few:
        return everything
    low, high = (float(value) for value in np.partition(finite, (few, len(finite) - 1 - few))[[few, -1 - few]])
    room = (everything[1] - everything[0]) * _WORTH_LEAVING_OUT
    return (
        low if low - everything[0] > room else everything[0],
        high if everything[1] - high > room else everything[1],
    )


def decimate(x: np.ndarray, y: np.ndarray, limits: tuple[float, float], columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Reduce a series to at most two points per column, keeping every extreme; cost does not grow with the run.

    A column with only NaN gives one NaN (a gap); a column without values gives nothing.

    Args:
        x: ascending positions, float, shape [N].
        y: values, float, NaN for values that can't be drawn, shape [N].
        limits: positions of the plot's left and right edge.
        columns: width of the plot.

    Returns:
        Positions and values, shape [M] with M <= 2 * columns, or x and y themselves if they are few enough.
    """
    import numpy as np

    if len(x) <= 2 * columns:
        return x, y
    left, right = limits
    edges = np.searchsorted(x, np.linspace(left, right, columns + 1)[:-1])
    edges = np.unique(edges[edges < len(x)])
    low, high = np.fmin.reduceat(y, edges), np.fmax.reduceat(y, edges)
    ends = np.append(edges[1:], len(x))
    # The extreme closer to the previous column comes first, so that the joining line does not cross an empty area.
    falls = y[edges] > y[ends - 1]
    drawn_x = np.repeat((x[edges] + x[ends - 1]) / 2, 2)
    drawn_y = np.empty(2 * len(edges))
    drawn_y[0::2] = np.where(falls, high, low)
    drawn_y[1::2] = np.where(falls, low, high)
    kept = np.ones(len(drawn_y), dtype=bool)
    # A single value needs no second point, and a gap needs no second NaN.
    kept[1::2] = ~((low == high) | np.isnan(low))
    return drawn_x[kept], drawn_y[kept]


def exponential_average(y: np.ndarray, weight: float) -> np.ndarray:
    """Debiased exponential moving average: s_n = w s_(n-1) + (1 - w) y_n with s_0 = 0, divided by 1 - w^n.

    The division is Adam's bias correction (Kingma & Ba 2015, section 3), which TensorBoard's smoothing also uses: the
    first averages are not pulled toward zero. NaN and infinite values are skipped and stay as they are.

    Args:
        y: values, shape [N].
        weight: w, at least 0 and below 1.

    Returns:
        The average at each point, float64, shape [N].
    """
    import numpy as np

    averaged = np.array(y, dtype=np.float64)
    positions = np.flatnonzero(np.isfinite(averaged))
    count = len(positions)
    if not count or weight <= 0:
        return averaged
    blocks = np.zeros((math.ceil(count / _BLOCK), _BLOCK))
    blocks.reshape(-1)[:count] = averaged[positions]
    # Within a block, the recurrence is a product with a triangular matrix; the next block needs only its last value.
    steps = np.arange(_BLOCK)
    distance = steps[:, None] - steps[None, :]
    triangle = np.where(distance >= 0, (1 - weight) * weight ** np.maximum(distance, 0), 0.0)
    within = blocks @ triangle.T
    carried = np.zeros(len(blocks))
    decay = weight**_BLOCK
    for index in range(1, len(blocks)):
        carried[index] = carried[index - 1] * decay + within[index - 1, -1]
    smooth = (within + carried[:, None] * weight ** (steps + 1)).reshape(-1)[:count]
    averaged[positions] = smooth / (1 - weight ** np.arange(1, count + 1))
    return averaged


def linear_ticks(low: float, high: float, count: int) -> list[float]:
    """Choose about `count` round values within the limits, 1, 2 or 5 times a power of ten apart; at least one."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    rough = span / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    ticks = _multiples(step, low, high)
    # If the nearest round values are outside on both sides, a finer step has one inside.
    return ticks or _multiples(step / 2, low, high) or _multiples(step / 10, low, high)


def _multiples(step: float, low: float, high: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int) -> list[float]:
    """Choose powers of ten, or 1, 2 and 5 times them, between two exponents of ten; returns exponents."""
    for factors in ((1,), (1, 2, 5), (1, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [
            power + math.log10(factor)
            for power in range(math.floor(low), math.ceil(high) + 1)
            for factor in factors
            if low - 1e-9 <= power + math.log10(factor) <= high + 1e-9
        ]
        if len(ticks) >= 2:
            every = math.ceil(len(ticks) / max(count, 2))
            return ticks[::every]
    return [low, high]


def tick_label(value: float, step: float) -> str:
    """Write a number as briefly as the distance to its neighbors allows: 0.25, 40k, 1.5M, 2e-5."""
    if value == 0 or abs(value) < step * 1e-6:
        return "0"
    size = max(abs(value), step)
    if size >= 1e10 or size < 1e-3:
        return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            unit = 1e3 if letter == "k" else unit
            return f"{value / unit:.{_decimals(step / unit)}f}{letter}"
    return f"{value:.{_decimals(step)}f}"


def short_number(value: float, digits: int = 4) -> str:
    """Write a value for a legend, with `digits` significant digits; `nan` and `inf` as they are."""
    if not math.isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.{digits}g}"


def _decimals(step: float) -> int:
    return max(0, math.ceil(-math.log10(step) - 1e-9)) if step > 0 else 2
