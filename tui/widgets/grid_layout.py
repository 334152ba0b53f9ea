"""Where pictures lie in a grid: the size at which most of the room is used, rather larger ones than more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

GAP = 2
"""Cells between two groups."""
LEGIBLE_WIDTH = 28
SMALLEST_WIDTH = 8

# An image twice as wide is worth more than four of half the width.
_WORTH_OF_SIZE = 2.5


@dataclass(frozen=True)
class GridLayout:
    """A grid of groups of pictures, each picture with a caption below it.

    Attributes:
        columns: groups side by side.
        lines: groups one below the other.
        group: pictures per group.
        cell: width of a picture in cells.
        rows: height of a picture in lines.
        is_beside: whether the pictures of a group lie side by side, and not one below the other.
        margin: cells to the left of the first group.
    """

    columns: int
    lines: int
    group: int
    cell: int
    rows: int
    is_beside: bool = True
    margin: int = 0

    @property
    def groups(self) -> int:
        """Number of groups that fit."""
        return self.columns * self.lines

    @property
    def group_width(self) -> int:
        """Cells of a group."""
        return self.cell * self.group + self.group - 1 if self.is_beside else self.cell

    @property
    def group_height(self) -> int:
        """Lines of a group with its captions."""
        return self.rows + 1 if self.is_beside else self.group * (self.rows + 1)

    def place(self, number: int) -> tuple[int, int]:
        """Cell and line of the upper left corner of a picture."""
        group, part = divmod(number, self.group)
        line, column = divmod(group, self.columns)
        x = self.margin + column * (self.group_width + GAP)
        y = line * (self.group_height + 1)
        return (x + part * (self.cell + 1), y) if self.is_beside else (x, y + part * (self.rows + 1))

    def group_at(self, x: int, y: int) -> int | None:
        """The group that covers a cell; None between two groups."""
        column, within = divmod(x - self.margin, self.group_width + GAP)
        line, below = divmod(y, self.group_height + 1)
        is_inside = 0 <= column < self.columns and line < self.lines
        return line * self.columns + column if is_inside and within < self.group_width and below >= 0 else None


def best_layout(
    count: int, pixels: int, aspect: float, size: tuple[int, int], *, group: int = 1, least: int | None = None
) -> GridLayout:
    """Choose the size at which the pictures use most of the room.

    Args:
        count: number of pictures.
        pixels: width of the widest image in pixels; a picture has at most a cell per pixel, but small ones are
            enlarged by whole factors.
        aspect: height of a picture in half lines, divided by its width in cells.
        size: width and height of the room in cells.
        group: pictures that stay together.
        least: number of groups that must fit even if they have to shrink; None for all.
    """
    width, height = size
    groups = max(1, count // group)
    wanted = groups if least is None else min(least, groups)
    best: GridLayout | None = None
    worth = 0.0
    for cell in _sizes(pixels, width):
        rows = max(1, int(cell * aspect / 2 + 0.5))
        for is_beside in (True, False)[: 2 if group > 1 else 1]:
            layout = _filled(GridLayout(0, 0, group, cell, rows, is_beside), size)
            used = min(layout.groups, groups) * cell**_WORTH_OF_SIZE
            if layout.groups >= wanted and used > worth:
                best, worth = layout, used
    if best is None:
        # They don't fit even if they are small: a small size, or the height that is left.
        narrow = (width + 1) // group - 1
        cell = max(1, min(SMALLEST_WIDTH, narrow, max(2, int((height - 1) * 2 / aspect))))
        fitted = _filled(GridLayout(0, 0, group, cell, max(1, int(cell * aspect / 2 + 0.5))), size)
        best = replace(fitted, columns=max(1, fitted.columns), lines=max(1, fitted.lines))
    return best


def _sizes(pixels: int, width: int) -> Iterable[int]:
    """Widths that show an image well: up to a cell per pixel, and whole multiples of few pixels."""
    multiples = range(pixels, LEGIBLE_WIDTH + 1, pixels)
    return (cell for cell in sorted({*range(SMALLEST_WIDTH, pixels + 1), *multiples}) if cell <= width)


def _filled(layout: GridLayout, size: tuple[int, int]) -> GridLayout:
    """The layout with as many groups as fit."""
    width, height = size
    columns = (width + GAP) // (layout.group_width + GAP)
    lines = (height + 1) // (layout.group_height + 1)
    margin = max(0, (width - columns * (layout.group_width + GAP) + GAP) // 2)
    return replace(layout, columns=columns, lines=lines, margin=margin)
