"""The table of runs: columns, marks in the colors of the curves, and the column by which they are sorted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from textual.binding import BindingType
from textual.dom import DOMNode
from textual.message_pump import MessagePump

from ...keys.bindings import bindings
from ...widgets.rows import Rows
from ...widgets.table import Layout, layout
from ...words.runs.run_lists import DEFAULT_COLUMNS, RunRow, chosen_columns

_MARK = "━━ "


@runtime_checkable
class Answers(Protocol):
    """What is around a panel with keys that it does not answer itself."""

    async def answer(self, what: str) -> None:
        """Do what a key of the panel means, by the name of its command."""
        ...


class Asking(MessagePump):
    """A panel with keys that what is around it answers. Put it before the widget class in the list of bases."""

    async def action_ask(self, what: str) -> None:
        """Let it do that, before the next key moves the cursor."""
        # As a base, a node would come before the widget for Textual, whose styles would then not be inherited.
        assert isinstance(self, DOMNode)
        await next(node for node in self.ancestors if isinstance(node, Answers)).answer(what)


class RunTable(Asking, Rows):
    """The runs. Its owner gives it what a row is made from; lines are made for the rows that are seen only.

    Attributes:
        columns: names of the columns, in their order.
        metric: metric of the best values; empty if the runs differ in it.
        has_sources: whether some of the runs are of other programs.
        is_by_seed: whether a line may stand for several seeds.
        column: name of the column under the column cursor; empty until it was moved or sorted by.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("run_table")

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "") -> None:
        super().__init__(title, id=id, classes=classes)
        self.columns: Sequence[str] = DEFAULT_COLUMNS
        self.metric = ""
        self.has_sources = False
        self.is_by_seed = False
        self.column = ""
        self._sorted_by, self._is_reversed = "", False
        self._row_of: Callable[[int], RunRow] | None = None
        self._layouts: dict[tuple[object, ...], Layout[RunRow]] = {}
        self._lines: dict[Path, _MadeLine] = {}

    def show(
        self,
        count: int,
        row: Callable[[int], RunRow],
        *,
        cursor: int | None = None,
        sorted_by: str = "",
        is_reversed: bool = False,
        empty: Callable[[int, int], Sequence[str]],
        position: Callable[[int], str],
    ) -> None:
        """Replace the runs.

        Args:
            count: number of runs.
            row: gives what the row of an index is made from.
            cursor: index of the row under the cursor; None leaves it.
            sorted_by: name of the column that they are sorted by; empty for none.
            is_reversed: whether they are in the reverse order.
            empty: lines while there are none, from width and height.
            position: text for the frame, from the index under the cursor.
        """
        self._row_of = row
        self._sorted_by, self._is_reversed = sorted_by, is_reversed
        self.set_rows(count, self._line, head=self._heading, cursor=cursor, empty=empty, position=position)

    @property
    def shown_columns(self) -> tuple[str, ...]:
        """The columns that have room."""
        return tuple(column.name for column in self._layout(self.size.width).columns)

    def column_at(self, x: int) -> str:
        """The column by which a click on the heading sorts; empty for none."""
        column = self._layout(self.size.width).column_at(x - len(_MARK))
        return column.name if column is not None and column.can_sort else ""

    def offers(self, action: str) -> bool:
        """Offer keys that act on runs only while there are some."""
        return self.count > 0 or action in ("ask('filter')", "ask('columns')")

    def action_column(self, by: int) -> None:
        """Move the column cursor over the columns that can be sorted by."""
        names = [column.name for column in self._layout(self.size.width).columns if column.can_sort]
        start = self.column if self.column in names else self._sorted_by if self._sorted_by in names else ""
        at = names.index(start) + by if start else 0 if by > 0 else len(names) - 1
        self.column = names[at % len(names)]
        self.refresh_head()

    def _layout(self, width: int) -> Layout[RunRow]:
        key = (width, tuple(self.columns), self.metric, self.has_sources, self.is_by_seed)
        if key not in self._layouts:
            columns = chosen_columns(
                self.columns, self.metric, has_sources=self.has_sources, is_by_seed=self.is_by_seed
            )
            self._layouts = {key: layout(columns, max(1, width - len(_MARK)))}
            self._lines.clear()
        return self._layouts[key]

    def _heading(self, width: int) -> list[str]:
        cursor = self.column if self.has_focus else ""
        head = self._layout(width).head(self._sorted_by, is_reversed=self._is_reversed, cursor=cursor)
        return [f"{' ' * len(_MARK)}{head}"]

    def _line(self, index: int, width: int) -> str:
        """A row as markup; of most rows nothing has changed since they were last made."""
        assert self._row_of is not None
        row = self._row_of(index)
        known = self._lines.get(row.run.path)
        if known is None or not known.holds(row, width):
            mark = f"[{row.color}]━━[/] " if row.color else " " * len(_MARK)
            known = self._lines[row.run.path] = _MadeLine(row, width, mark + self._layout(width).line(row))
        return known.line


@dataclass(frozen=True)
class _MadeLine:
    """A line and what it was made from."""

    row: RunRow
    width: int
    line: str

    def holds(self, row: RunRow, width: int) -> bool:
        """Whether the line would be made again as it is; objects that did not change are the same objects."""
        before = self.row
        return (
            width == self.width
            and row.run is before.run
            and row.extent is before.extent
            and row.settings is before.settings
            and row.group == before.group
            and (row.color, row.is_best, _minute(row)) == (before.color, before.is_best, _minute(before))
        )


def _minute(row: RunRow) -> int:
    """Changes when the age of a run may read differently."""
    return int((row.now - row.run.modified) // 60)
