"""The first line: whose it is, where one is, and how the run does, which is seen in every pane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from textual import events
from textual.app import RenderResult
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

_BRAND = " [b $primary]torch[/][b $text]deck[/]  "
_BRAND_FROM = 100  # cells


class TabLine(Widget):
    """Shows which of a few tabs is active; a click chooses one, and the owner handles the keys.

    Attributes:
        active: name of the active tab.
        status: what stands at the right end, as markup: the longest of these that has room.
    """

    DEFAULT_CSS = """
    TabLine { height: 1; dock: top; background: $surface; color: $text-muted; text-wrap: nowrap; }
    """

    active: reactive[str] = reactive("")
    status: reactive[tuple[str, ...]] = reactive(())

    @dataclass
    class Chosen(Message):
        """A tab was clicked."""

        line: TabLine
        tab: str

        @property
        def control(self) -> TabLine:
            """The line that sent it."""
            return self.line

    def __init__(self, tabs: Mapping[str, str], active: str, *, id: str | None = None) -> None:
        """Create a line of tabs, numbered from 1.

        Args:
            tabs: titles by name, in order.
            active: name of the tab that is active first.
            id: id of the widget.
        """
        super().__init__(id=id)
        self._tabs = dict(tabs)
        self._places: list[tuple[int, int, str]] = []
        self.set_reactive(TabLine.active, active)

    def render(self) -> RenderResult:
        """Draw the tabs from the left and the status at the right."""
        line = Content.from_markup(_BRAND if self.size.width >= _BRAND_FROM else "")
        self._places = []
        for number, (tab, title) in enumerate(self._tabs.items(), start=1):
            begin = line.cell_length
            if tab == self.active:
                line += Content.from_markup(f"[b $background on $primary] {number} {title} [/]")
            else:
                line += Content.from_markup(f" [$key]{number}[/] {title} ")
            self._places.append((begin, line.cell_length, tab))
        for text in self.status:
            status = Content.from_markup(text)
            gap = self.size.width - line.cell_length - status.cell_length - 1
            if gap >= 1:
                return line.pad_right(gap) + status
        return line

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        for begin, end, tab in self._places:
            if begin <= event.x < end:
                event.stop()
                self.post_message(self.Chosen(self, tab))
                return
