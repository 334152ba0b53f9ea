"""A canvas of characters, each with an ink: axes, letters, and lines in braille dots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

DOTS_WIDE = 2
"""Braille dots of a cell, side by side."""


class Canvas:
    """Characters in rows. What is put later lies on top.

    Attributes:
        codes: code points, uint32 [rows, columns].
        inks: index of each character's ink, int16 [rows, columns]; 0 for a blank.
    """

    def __init__(self, columns: int, rows: int) -> None:
        import numpy as np

        self.codes = np.full((rows, columns), ord(" "), dtype=np.uint32)
        self.inks = np.zeros((rows, columns), dtype=np.int16)

    def put(self, text: str, column: int, row: int, ink: int) -> None:
        """Write a text of characters of one cell each; what lies outside is left out."""
        rows, columns = self.codes.shape
        if not 0 <= row < rows:
            return
        for at, character in enumerate(text, start=column):
            if 0 <= at < columns:
                self.codes[row, at], self.inks[row, at] = ord(character), ink

    def fill(self, character: str, columns: slice, rows: slice, ink: int) -> None:
        """Fill an area with a character."""
        self.codes[rows, columns], self.inks[rows, columns] = ord(character), ink

    def draw_lines(self, area: tuple[int, int, int, int], lines: Sequence[tuple[np.ndarray, np.ndarray, int]]) -> None:
        """Draw lines through points with plotext. They lie on what is there: a cell that they cross shows them only.

        Args:
            area: left column, top row, columns and rows.
            lines: for each, positions from 0 at the left edge to 1 at the right edge, ascending, float [N]; heights
                from 0 at the bottom to 1 at the top, float [N], NaN for a gap, cut off at the edges; and its ink.
        """
        left, top, columns, rows = area
        for row, pieces in enumerate(_plotted(columns, rows, lines), start=top):
            column = left
            for text, ink in pieces:
                for at, character in enumerate(text, start=column):
                    if ink and character != " " and at < left + columns:
                        self.codes[row, at], self.inks[row, at] = ord(character), ink
                column += len(text)

    def runs(self, row: int) -> list[tuple[str, int]]:
        """A row as pieces of text of one ink each."""
        import numpy as np

        inks = self.inks[row]
        text = self.codes[row].tobytes().decode("utf-32-le")
        edges = [0, *(np.flatnonzero(inks[1:] != inks[:-1]) + 1).tolist(), len(inks)]
        return [(text[begin:end], int(inks[begin])) for begin, end in pairwise(edges)]

    def changed_areas(self, before: Canvas) -> list[tuple[int, int, int]]:
        """Where a canvas of the same size differs: row, first column, and column behind the last."""
        import numpy as np

        differs = (self.codes != before.codes) | (self.inks != before.inks)
        rows = np.flatnonzero(differs.any(axis=1))
        columns = self.codes.shape[1]
        return [(int(row), int(differs[row].argmax()), columns - int(differs[row][::-1].argmax())) for row in rows]


def _plotted(
    columns: int, rows: int, lines: Sequence[tuple[np.ndarray, np.ndarray, int]]
) -> Iterator[list[tuple[str, int]]]:
    """The lines as plotext draws them: the pieces of each row from the top, with their inks."""
    import plotext

    # plotext's public `figure` is shared by the whole process; an independent one is made from its class.
    plotext.terminal.limit(False, False)
    figure = type(plotext.figure)(plotext.terminal)
    figure.theme("simple")
    figure.canvas("default")
    figure.plot_size(columns, rows)
    figure.axes(False, axis=[0, 1], side=[0, 1])
    figure.legend(False)
    for axis in ("x", "y"):
        ruler = figure.ruler(axis)
        ruler.lim(0, 1)
        ruler.ticks([], [])
    for x, y, ink in lines:
        for across, up in _pieces_inside(x, y):
            # A single braille dot is easy to miss.
            symbol = "braille" if len(across) > 1 else "•"
            marker = plotext.marker(symbol, plotext.pixel(foreground=(0, 0, ink), background="default"))
            figure.draw(figure.signal(across, up, marker=marker).lines(True))
    drawn = str(figure.build().string()).split("\n")[:rows]
    return (_pieces_of(line) for line in drawn)


def _pieces_of(line: str) -> list[tuple[str, int]]:
    """A row of plotext's output as pieces of text of one ink each; the ink is the blue of its color."""
    pieces: list[tuple[str, int]] = []
    ink = 0
    for part in line.split("\x1b["):
        codes, found, text = part.partition("m")
        if not found:
            text, codes = part, ""
        if codes.startswith("38;2;"):
            ink = int(codes.split(";")[4])
        elif codes == "0":
            ink = 0
        pieces.append((text, ink))
    return pieces


def _pieces_inside(x: np.ndarray, y: np.ndarray) -> list[tuple[list[float], list[float]]]:
    """The parts of a line inside the unit square: gaps split it, and it ends where it crosses an edge.

    plotext's kernel ends the process if a point is too far out, so it gets only numbers from 0 to 1.
    """
    pieces: list[tuple[list[float], list[float]]] = []
    across: list[float] = []
    up: list[float] = []
    before: tuple[float, float] | None = None
    for place, height in zip(x.tolist(), y.tolist(), strict=True):
        point = (place, height) if isfinite(height) and isfinite(place) else None
        ends = _inside(before, point) if before is not None and point is not None else None
        if before is None or point is None or ends is None or (across and (across[-1], up[-1]) != ends[0]):
            if across:
                pieces.append((across, up))
            across, up = [], []
            if point is not None and before is None and _is_inside(point):
                across, up = [point[0]], [point[1]]
        if ends is not None:
            if not across:
                across, up = [ends[0][0]], [ends[0][1]]
            across.append(ends[1][0])
            up.append(ends[1][1])
        before = point
    if across:
        pieces.append((across, up))
    return pieces


_Point = tuple[float, float]


def _is_inside(point: _Point) -> bool:
    return 0 <= point[0] <= 1 and 0 <= point[1] <= 1


def _inside(one: _Point, other: _Point) -> tuple[_Point, _Point] | None:
    """The part of a segment inside the unit square, by Liang and Barsky's clipping; None if there is none."""
    low, high = 0.0, 1.0
    for start, end in zip(one, other, strict=True):
        step = end - start
        if step == 0:
            if not 0 <= start <= 1:
                return None
            continue
        first, last = sorted((-start / step, (1 - start) / step))
        low, high = max(low, first), min(high, last)
    if low > high:
        return None
    begin = one if low == 0 else _between(one, other, low)
    return begin, other if high == 1 else _between(one, other, high)


def _between(one: _Point, other: _Point, share: float) -> _Point:
    place, height = (start + share * (end - start) for start, end in zip(one, other, strict=True))
    return min(max(place, 0.0), 1.0), min(max(height, 0.0), 1.0)
