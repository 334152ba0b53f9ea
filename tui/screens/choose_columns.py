"""Lets the user choose the columns of a table, and their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from ..drawing import name
from ..keys.bindings import bindings
from ..widgets.rows import Rows
from .dialog import OverScreen


class ChooseColumnsScreen(OverScreen[tuple[str, ...] | None]):
    """A list of columns, each on or off; returns those that are on, in their order, or None if the user cancels."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("columns")

    def __init__(self, columns: Sequence[str], chosen: Sequence[str], default: Sequence[str]) -> None:
        """Create the list.

        Args:
            columns: names of all columns; the first is always on.
            chosen: those that are on, in their order.
            default: those that are on unless the user chose others.
        """
        super().__init__()
        self._all, self._default = tuple(columns), tuple(default)
        self._on: set[str] = set()
        self._order: list[str] = []
        self._put(chosen)

    def compose(self) -> ComposeResult:
        """Lay out the list above its keys."""
        with Vertical(classes="dialog") as box:
            box.border_title = "Columns"
            box.border_subtitle = "[b]Esc[/] changes nothing"
            yield Rows(id="columns")
            yield Static(
                "[$text-muted]Where there is no room, the last are left out.[/]\n"
                "[b $key]␣[/] on, off   [b $key]K J[/] move   [b $key]d[/] default\n"
                "[b $key]Enter[/] applies"
            )

    def on_mount(self) -> None:
        """Show the list."""
        rows = self.query_one(Rows)
        rows.styles.height = len(self._all)
        # The dialog's frame is enough.
        rows.remove_class("panel")
        self._show()
        rows.focus()

    def action_toggle_column(self) -> None:
        """Switch the column under the cursor on or off."""
        column = self._order[self.query_one(Rows).cursor]
        if column == self._all[0]:
            self.app.notify(f"{column} is always shown")
            return
        self._on ^= {column}
        self._show()

    def action_shift(self, by: int) -> None:
        """Move the column under the cursor."""
        at = self.query_one(Rows).cursor
        to = at + by
        if 0 <= to < len(self._order):
            self._order[at], self._order[to] = self._order[to], self._order[at]
            self._show(to)

    def action_default(self) -> None:
        """Choose the columns that a new user sees."""
        self._put(self._default)
        self._show()

    def action_apply(self) -> None:
        """Close with what is on."""
        self.dismiss(tuple(column for column in self._order if column in self._on))

    @on(Rows.Clicked)
    def _click(self, message: Rows.Clicked) -> None:
        message.stop()
        self.action_toggle_column()

    def _put(self, chosen: Sequence[str]) -> None:
        self._on = set(chosen)
        self._order = [*chosen, *(column for column in self._all if column not in self._on)]

    def _show(self, cursor: int | None = None) -> None:
        def line(index: int, width: int) -> str:
            column = self._order[index]
            state = "[$primary]━━●[/] " if column in self._on else "[$text-disabled]●━━[/] "
            return f"{state}[{'b' if column in self._on else '$text-muted'}]{name(column)}[/]"

        self.query_one(Rows).set_rows(len(self._order), line, cursor=cursor, position="")
