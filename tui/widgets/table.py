"""Columns of a table in rows: which of them fit, how wide they are, and where a heading was clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from textual.content import Content

from ..drawing import cells, left, right

RowT = TypeVar("RowT")
GAP = 2
"""Cells between two columns."""


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """A column.

    Attributes:
        name: name by which it is sorted and chosen.
        title: heading.
        width: width in cells; the least width of a wide column.
        cell: makes the markup of a row's cell, from the row and the width.
        is_left: whether cell and heading are aligned to the left, as names are; numbers are aligned to the right.
        is_wide: whether it takes the cells that the others leave.
        rank: columns of a higher rank are left out first where there is no room.
        can_sort: whether rows can be sorted by it.
    """

    name: str
    title: str
    width: int
    cell: Callable[[RowT, int], str]
    is_left: bool = False
    is_wide: bool = False
    rank: int = 0
    can_sort: bool = True


@dataclass(frozen=True)
class Layout(Generic[RowT]):
    """The columns that fit into a width, with their widths."""

    columns: tuple[Column[RowT], ...]
    widths: tuple[int, ...]

    def head(self, sorted_by: str = "", *, is_reversed: bool = False, cursor: str = "") -> str:
        """The line of headings; an arrow is before or behind the one that the rows are sorted by.

        Args:
            sorted_by: name of that column.
            is_reversed: whether the rows are in the reverse of its order.
            cursor: name of the column under the column cursor; empty for none.
        """
        titles = []
        for column, width in zip(self.columns, self.widths, strict=True):
            title = column.title
            if column.name == sorted_by:
                arrow = "↑" if is_reversed else "↓"
                title = f"{title} {arrow}" if column.is_left else f"{arrow} {title}"
            cell = left(title, width) if column.is_left else right(title, width)
            titles.append(f"[b $primary]{cell}[/]" if column.name == cursor else cell)
        return f"[$text-disabled]{(' ' * GAP).join(titles)}[/]"

    def line(self, row: RowT) -> str:
        """A row as one line of markup."""
        return (" " * GAP).join(
            aligned(column.cell(row, width), width, is_left=column.is_left)
            for column, width in zip(self.columns, self.widths, strict=True)
        )

    def column_at(self, x: int) -> Column[RowT] | None:
        """The column whose heading is at a cell."""
        begin = 0
        for column, width in zip(self.columns, self.widths, strict=True):
            if begin <= x < begin + width + GAP:
                return column
            begin += width + GAP
        return None


def layout(columns: Sequence[Column[RowT]], width: int) -> Layout[RowT]:
    """Choose the columns that fit into `width` cells: those of the lowest ranks, in their order."""
    kept = list(columns)
    while len(kept) > 1 and sum(column.width for column in kept) + GAP * (len(kept) - 1) > width:
        highest = max(column.rank for column in kept)
        kept.remove(next(column for column in reversed(kept) if column.rank == highest))
    rest = max(0, width - sum(column.width for column in kept) - GAP * (len(kept) - 1))
    wide = sum(column.is_wide for column in kept)
    widths = tuple(column.width + (rest // wide if column.is_wide else 0) for column in kept)
    return Layout(tuple(kept), widths)


def aligned(markup: str, width: int, *, is_left: bool) -> str:
    """Markup in exactly `width` cells; what is too long loses its end."""
    used = cells(markup)
    if used > width:
        return Content.from_markup(markup).truncate(width, ellipsis=True).markup
    return f"{markup}{' ' * (width - used)}" if is_left else f"{' ' * (width - used)}{markup}"
