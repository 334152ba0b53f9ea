"""Pictures of lines and points as markup, for panels of lines: parallel coordinates, and points in a plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...drawing import escape
from ...plain_text import printable
from .canvas import Canvas

_FAINT, _SECOND, _FIRST, _AXIS, _LABEL = range(1, 6)
_COLORS = ("", "$track", "$series-1", "$best", "$frame", "$text-disabled")
_FEWEST_CELLS, _FEWEST_ROWS = 20, 5


@dataclass(frozen=True)
class ParallelAxis:
    """One upright axis.

    Attributes:
        title: its name.
        low: label of its lower end.
        high: label of its upper end.
    """

    title: str
    low: str
    high: str


@dataclass(frozen=True)
class RankedLine:
    """A line across axes, or a point.

    Attributes:
        places: heights on the axes from 0 to 1, or the two coordinates of a point; NaN for a gap.
        rank: 0 for the best, 1 for those next to it, 2 for the others.
    """

    places: tuple[float, ...]
    rank: int


def parallel_lines(axes: Sequence[ParallelAxis], lines: Sequence[RankedLine], width: int, height: int) -> list[str]:
    """Lines across upright axes, the best on top; no lines where there is no room.

    Args:
        axes: axes from left to right, at least two.
        lines: lines.
        width: cells.
        height: rows, with two for the ends of the axes and one for their names.
    """
    if width < _FEWEST_CELLS or height < _FEWEST_ROWS or len(axes) < 2:
        return []
    import numpy as np

    canvas = Canvas(width, height)
    columns = [round(at * (width - 1) / (len(axes) - 1)) for at in range(len(axes))]
    for column in columns:
        canvas.fill("│", slice(column, column + 1), slice(1, height - 2), _AXIS)
    across = np.array(columns, dtype=np.float64) / (width - 1)
    for rank, ink in ((2, _FAINT), (1, _SECOND), (0, _FIRST)):
        drawn = [(across, np.array(line.places), ink) for line in lines if line.rank == rank]
        if drawn:
            canvas.draw_lines((0, 1, width, height - 3), drawn)
    for axis, column in zip(axes, columns, strict=True):
        for text, row in ((axis.high, 0), (axis.low, height - 2), (axis.title, height - 1)):
            _put(canvas, printable(text), column, row, len(axes))
    return _markup(canvas)


def point_lines(points: Sequence[RankedLine], labels: Sequence[str], width: int, height: int) -> list[str]:
    """Points in a plane, the best on top; no lines where there is no room.

    Args:
        points: points, with places from 0 at the left or bottom to 1.
        labels: ends of the axes: left, right, bottom, top.
        width: cells.
        height: rows, with one for the ends of the lower axis.
    """
    if width < _FEWEST_CELLS or height < _FEWEST_ROWS:
        return []
    import numpy as np

    canvas = Canvas(width, height)
    left, right, bottom, top = map(printable, labels)
    margin = max(len(bottom), len(top)) + 1
    canvas.fill("│", slice(margin - 1, margin), slice(0, height - 1), _AXIS)
    for rank, ink in ((2, _SECOND), (0, _FIRST)):
        drawn = [(np.array([x]), np.array([y]), ink) for x, y in (p.places for p in points if p.rank == rank)]
        if drawn:
            canvas.draw_lines((margin, 0, width - margin, height - 1), drawn)
    canvas.put(top, 0, 0, _LABEL)
    canvas.put(bottom, 0, height - 2, _LABEL)
    canvas.put(left, margin, height - 1, _LABEL)
    canvas.put(right, max(margin + len(left) + 1, width - len(right)), height - 1, _LABEL)
    return _markup(canvas)


def _put(canvas: Canvas, text: str, column: int, row: int, axes: int) -> None:
    """A label at its axis, in the share of the row that the axis has."""
    width = canvas.codes.shape[1]
    shown = text[: max(3, width // axes - 1)]
    begin = min(max(0, column - len(shown) // 2), width - len(shown))
    canvas.put(shown, begin, row, _LABEL)


def _markup(canvas: Canvas) -> list[str]:
    return [
        "".join(f"[{_COLORS[ink]}]{escape(text)}[/]" if ink else text for text, ink in canvas.runs(row))
        for row in range(canvas.codes.shape[0])
    ]
