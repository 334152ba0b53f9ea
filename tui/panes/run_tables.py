"""Tables of runs and checkpoints that update only the cells that differ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.text import Text
from textual.coordinate import Coordinate
from textual.widgets import DataTable

from ..words.run_lists import Column, columns_for, widths_for

Row = tuple[Text, ...]


class RowTable(DataTable[Text]):
    """A table whose columns fit its width and whose rows are set all at once."""

    DEFAULT_CSS = """
    RowTable { height: 1fr; overflow-x: hidden; background: transparent; }
    """

    def __init__(self, columns: Sequence[Column[Any]], *, id: str) -> None:
        """Create an empty table; `fit` chooses its columns.

        Args:
            columns: all possible columns.
            id: id of the widget.
        """
        super().__init__(id=id, cursor_type="row")
        self._all_columns = columns
        self.shown_columns: list[Column[Any]] = []
        self._shown: list[Row] = []

    def offer(self, columns: Sequence[Column[Any]]) -> bool:
        """Choose among these columns from the next `fit` on. Whether they have other headings than those before."""
        before, self._all_columns = self._all_columns, columns
        return [column.title for column in before] != [column.title for column in columns]

    def fit(self, width: int, rows: Callable[[], list[Row]]) -> None:
        """Show the columns that fit into `width` cells, with rows made for them."""
        self.shown_columns = columns_for(self._all_columns, width)
        cursor = self.cursor_row
        self.clear(columns=True)
        for column, cells in zip(self.shown_columns, widths_for(self.shown_columns, width), strict=True):
            self.add_column(column.title, width=cells, key=column.order or None)
        self._shown = []
        self.fill(rows())
        self.move_cursor(row=cursor)

    def fill(self, rows: list[Row]) -> None:
        """Set the rows; only cells that differ are updated, so nothing is sent if nothing changed."""
        before, self._shown = self._shown, rows
        if len(before) != len(rows):
            cursor = self.cursor_row
            self.clear()
            self.add_rows(rows)
            self.move_cursor(row=min(cursor, len(rows) - 1))
            return
        for index, (old, row) in enumerate(zip(before, rows, strict=True)):
            if old is row or old == row:
                continue
            for column, (cell_before, cell) in enumerate(zip(old, row, strict=True)):
                if cell_before != cell:
                    self.update_cell_at(Coordinate(index, column), cell)
