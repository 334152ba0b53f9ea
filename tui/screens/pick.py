"""Lets the user choose one of many names by typing part of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.fuzzy import Matcher
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ..drawing import name
from ..keys.bindings import bindings
from ..plain_text import printable, printable_lines
from ..widgets.field import Field
from .dialog import OverScreen

# Cells of a line of the list.
_WIDEST = 89


@dataclass(frozen=True)
class PickEntry:
    """One entry of the list.

    Attributes:
        name: name to choose.
        note: text behind the name.
        details: text below the list while the cursor is on the entry.
    """

    name: str
    note: str = ""
    details: str = ""


class PickScreen(OverScreen[str | None]):
    """A field and a list; returns the chosen name, or None. Letters scattered over a name also find it."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("list")

    def __init__(self, title: str, entries: Sequence[PickEntry]) -> None:
        """Create the list.

        Args:
            title: text on the border.
            entries: entries in their order while nothing is typed.
        """
        super().__init__()
        self._title = title
        self._entries = list(entries)
        self._listed = self._entries

    def compose(self) -> ComposeResult:
        """Lay out the field, the list and the details."""
        with Vertical(classes="dialog -list") as box:
            box.border_title = name(self._title)
            box.border_subtitle = "[b]⏎[/] chooses   [b]Esc[/] cancels"
            yield Field(placeholder="type a part of the name")
            names = OptionList(compact=True, markup=False)
            names.can_focus = False
            yield names
            yield Static(id="details", markup=False)

    def on_mount(self) -> None:
        """List every entry."""
        self._list(self._entries)

    def action_move(self, by: int) -> None:
        """Move in the list while the field keeps the focus."""
        names = self.query_one(OptionList)
        names.action_cursor_down() if by > 0 else names.action_cursor_up()

    def action_page(self, by: int) -> None:
        """Move in the list by a page."""
        names = self.query_one(OptionList)
        names.action_page_down() if by > 0 else names.action_page_up()

    @on(Input.Changed)
    def _find(self, message: Input.Changed) -> None:
        message.stop()
        self._list(found(self._entries, message.value))

    @on(Input.Submitted)
    def _take(self, message: Input.Submitted) -> None:
        message.stop()
        at = self.query_one(OptionList).highlighted
        if at is not None and self._listed:
            self.dismiss(self._listed[at].name)

    @on(OptionList.OptionSelected)
    def _take_clicked(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        if self._listed:
            self.dismiss(self._listed[message.option_index].name)

    @on(OptionList.OptionHighlighted)
    def _describe(self, message: OptionList.OptionHighlighted) -> None:
        message.stop()
        details = self._listed[message.option_index].details if self._listed else ""
        self.query_one("#details", Static).update(printable_lines(details))

    def _list(self, entries: list[PickEntry]) -> None:
        self._listed = entries
        names = self.query_one(OptionList)
        names.clear_options()
        if not entries:
            names.add_option(Option(Content.styled("no match", "$text-muted"), disabled=True))
            self.query_one("#details", Static).update("")
            return
        width = max(len(printable(entry.name)) for entry in self._entries)
        room = min(_WIDEST, self.app.size.width - 12)
        lines = [
            Content.assemble(f"{printable(entry.name):<{width}}  ", (printable(entry.note), "$text-muted"))
            for entry in entries
        ]
        names.add_options(Option(line.truncate(room, ellipsis=True)) for line in lines)
        names.highlighted = 0


def found(entries: Sequence[PickEntry], part: str) -> list[PickEntry]:
    """Find the entries that match, best match first; without a text, all entries in their order."""
    if not part.strip():
        return list(entries)
    matcher = Matcher(part.strip())
    scores = [(matcher.match(entry.name), entry) for entry in entries]
    return [entry for score, entry in sorted(scores, key=lambda pair: -pair[0]) if score > 0]
