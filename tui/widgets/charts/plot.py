"""A line plot in characters: its limits and ticks, and its drawing on a canvas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rich.cells import cell_len

from ...plain_text import printable
from .canvas import DOTS_WIDE, Canvas
from .series import decimate, finite_range, linear_ticks, log_ticks, range_without_outliers, tick_label

if TYPE_CHECKING:
    import numpy as np

BLANK, AXIS, GRID, MARK, FIRST_CURVE = range(5)
"""Inks of a plot: empty cells, axes with their labels, grid lines, marks, and from `FIRST_CURVE` the curves."""

# Limits further out overflow when subtracted; limits closer together have a difference of zero.
_LARGEST, _SMALLEST_SPAN = 1e300, 1e-290
_Y_LABEL_CELLS = 6  # approximate width of the labels of the y axis
_CELLS_A_TICK, _BETWEEN_LABELS = 14, 2  # cells
_FEWEST_TICKS = 3
_MARGIN = 0.04  # share of the height that stays free above and below the curves
_AXIS_ROWS = 2  # the x axis and its labels


@dataclass
class Curve:
    """A series to draw: positions, and values on the axis (possibly logarithms)."""

    x: np.ndarray
    y: np.ndarray
    is_faint: bool = False


@dataclass
class Frame:
    """Limits and ticks of a plot.

    Attributes:
        has_outliers: whether values are outside the y limits.
    """

    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    x_ticks: list[tuple[float, str]] = field(default_factory=list)
    y_ticks: list[tuple[float, str]] = field(default_factory=list)
    has_outliers: bool = False

    @property
    def left(self) -> int:
        """Column at which the curves begin, behind the y axis."""
        return max((cell_len(label) for _, label in self.y_ticks), default=0) + 1

    def position(self, column: int, width: int) -> float:
        """The position on the x axis of a column of a plot that is `width` columns wide."""
        low, high = self.x_limits
        share = (column - self.left) / max(1, width - self.left - 1)
        return low + min(max(share, 0.0), 1.0) * (high - low)


def frame_for(
    curves: Sequence[Curve],
    size: tuple[int, int],
    *,
    is_log: bool,
    x_window: tuple[float, float] | None = None,
    with_outliers: bool = True,
) -> Frame | None:
    """Choose limits and ticks; None if there is no finite value.

    Args:
        curves: curves to show.
        size: columns and rows of the plot.
        is_log: whether values are exponents of ten.
        x_window: left and right edge; by default, where the curves start and end.
        with_outliers: whether the y axis reaches to every value, or leaves out a few that would flatten the rest.
    """
    import numpy as np

    width, height = size
    x_limits = finite_range(np.concatenate([curve.x for curve in curves])) if curves else None
    everything = finite_range(np.concatenate([curve.y for curve in curves])) if curves else None
    if x_limits is None or everything is None:
        return None
    y_limits = everything
    if not with_outliers and not is_log:
        ranges = [found for curve in curves if (found := range_without_outliers(curve.y)) is not None]
        y_limits = min(low for low, _ in ranges), max(high for _, high in ranges)
    frame = Frame(_widened(x_window or x_limits), _with_margin(_widened(y_limits), is_log=is_log))
    frame.has_outliers = y_limits != everything
    frame.x_ticks = _x_ticks(frame.x_limits, width - _Y_LABEL_CELLS)
    count = max(2, height // 3)
    if is_log:
        frame.y_ticks = [(t, tick_label(10**t, 10**t)) for t in log_ticks(*frame.y_limits, count)]
    else:
        y_ticks = linear_ticks(*frame.y_limits, count=count)
        y_step = y_ticks[1] - y_ticks[0] if len(y_ticks) > 1 else abs(y_ticks[0]) / 100
        frame.y_ticks = [(tick, tick_label(tick, y_step)) for tick in y_ticks]
    return frame


def _x_ticks(limits: tuple[float, float], width: int) -> list[tuple[float, str]]:
    """Choose round positions with labels: far apart, or closer if there would be fewer than three."""
    low, high = limits
    chosen: list[tuple[float, str]] = []
    for count in range(max(2, width // _CELLS_A_TICK), max(2, width // 4) + 1):
        ticks = linear_ticks(low, high, count)
        step = ticks[1] - ticks[0] if len(ticks) > 1 else abs(ticks[0]) or 1.0
        labeled_ticks = [(tick, tick_label(tick, step)) for tick in ticks]
        widest = max(cell_len(label) for _, label in labeled_ticks)
        if chosen and step / (high - low) * width < widest + _BETWEEN_LABELS:
            break
        chosen = labeled_ticks
        if len(chosen) >= _FEWEST_TICKS:
            break
    return chosen


def _widened(limits: tuple[float, float]) -> tuple[float, float]:
    """Widen equal limits, so that a single value is in the middle."""
    low, high = (min(max(limit, -_LARGEST), _LARGEST) for limit in limits)
    if high - low > max(abs(high) * 1e-9, _SMALLEST_SPAN):
        return low, high
    half = abs(high) * 0.1 if abs(high) > _SMALLEST_SPAN * 10 else 0.5
    return low - half, high + half


def _with_margin(limits: tuple[float, float], *, is_log: bool) -> tuple[float, float]:
    """Limits with some room; an axis of values that are not negative does not go below zero."""
    low, high = limits
    margin = (high - low) * _MARGIN
    below = margin if is_log or low < 0 else min(margin, low)
    return low - below, high + margin


def draw(
    size: tuple[int, int],
    frame: Frame,
    curves: Sequence[Curve],
    marks: Sequence[tuple[float, str]],
    unit: str = "",
) -> Canvas:
    """Draw the plot.

    Args:
        size: columns and rows, with the axes.
        frame: limits and ticks.
        curves: curves, the lowest layer first; their inks are `FIRST_CURVE` and the following.
        marks: positions of vertical lines, each with a letter.
        unit: what the x axis counts, for the line of ticks if there is room; empty to leave it out.
    """
    width, height = size
    canvas = Canvas(width, height)
    left = frame.left
    area = (left, 0, max(1, width - left), max(1, height - _AXIS_ROWS))
    _draw_axes(canvas, area, frame)
    _draw_marks(canvas, area, frame, marks)
    for is_faint in (True, False):
        # Faint lines are a plot of their own below the others: a cell has one color, and dots of both in one cell
        # would make the bright line look thick.
        layer = [(ink, curve) for ink, curve in enumerate(curves, start=FIRST_CURVE) if curve.is_faint == is_faint]
        if layer:
            canvas.draw_lines(area, [_line(curve, frame, area[2] * DOTS_WIDE, ink) for ink, curve in layer])
    for column, letter in _places(area, frame, marks):
        canvas.put(printable(letter)[:1], column, 0, MARK)
    if unit:
        _say_unit(canvas, printable(unit))
    return canvas


def _line(curve: Curve, frame: Frame, dots: int, ink: int) -> tuple[np.ndarray, np.ndarray, int]:
    x, y = decimate(curve.x, curve.y, frame.x_limits, dots)
    return _scaled(x, frame.x_limits), _scaled(y, frame.y_limits), ink


def _draw_axes(canvas: Canvas, area: tuple[int, int, int, int], frame: Frame) -> None:
    left, _, columns, rows = area
    for value, label in frame.y_ticks:
        row = rows - 1 - round(_share(value, frame.y_limits) * (rows * 4 - 1)) // 4
        canvas.fill("┈", slice(left, left + columns), slice(row, row + 1), GRID)
        canvas.put(label, left - 1 - cell_len(label), row, AXIS)
    canvas.fill("│", slice(left - 1, left), slice(0, rows), AXIS)
    canvas.put("└" + "─" * columns, left - 1, rows, AXIS)
    end = 0
    for value, label in frame.x_ticks:
        at = left + round(_share(value, frame.x_limits) * (columns - 1))
        canvas.put("┬", at, rows, AXIS)
        begin = min(max(at - cell_len(label) // 2, end), left + columns - cell_len(label))
        if begin >= end:
            canvas.put(label, begin, rows + 1, AXIS)
            end = begin + cell_len(label) + 1


def _draw_marks(
    canvas: Canvas, area: tuple[int, int, int, int], frame: Frame, marks: Sequence[tuple[float, str]]
) -> None:
    for column, _ in _places(area, frame, marks):
        canvas.fill("│", slice(column, column + 1), slice(0, area[3]), MARK)


def _places(
    area: tuple[int, int, int, int], frame: Frame, marks: Sequence[tuple[float, str]]
) -> list[tuple[int, str]]:
    """Columns and letters of the marks within the limits."""
    left, _, columns, _ = area
    low, high = frame.x_limits
    return [
        (left + round(_share(position, frame.x_limits) * (columns - 1)), letter)
        for position, letter in marks
        if low <= position <= high
    ]


def _say_unit(canvas: Canvas, unit: str) -> None:
    """Write what the x axis counts in the line of ticks: at its left end, else at its right, else not at all."""
    row = len(canvas.codes) - 1
    line = canvas.codes[row].tobytes().decode("utf-32-le")
    if not line[: len(unit) + 1].strip():
        canvas.put(unit, 0, row, AXIS)
    elif not line[len(line) - len(unit) - 1 :].strip():
        canvas.put(unit, len(line) - len(unit), row, AXIS)


def _share(value: float, limits: tuple[float, float]) -> float:
    low, high = limits
    return (value - low) / (high - low)


def _scaled(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Scale the limits to 0 and 1; NaN stays, and values far outside stay finite."""
    low, high = limits
    span = high - low
    return (values.clip(low - 8 * span, high + 8 * span) - low) / span
