"""One line of numbered tabs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.app import RenderResult
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TabLine(Widget):
    """Shows which of a few tabs is active; a click chooses one, keys are the owner's business.

    Attributes:
        active: the key of the active tab.
        status: text at the right end of the line.
    """

    DEFAULT_CSS = """
    TabLine { height: 1; dock: top; background: $panel; color: $text-muted; }
    """

    active: reactive[str] = reactive("")
    status: reactive[Text] = reactive(Text)

    @dataclass
    class Chosen(Message):
        """A tab was clicked."""

        tab: str

    def __init__(self, tabs: Mapping[str, str], active: str, id: str | None = None) -> None:
        """A line of tabs.

        Args:
            tabs: their titles by key, in order.
            active: the key of the tab that is active at first.
            id: as for every widget.
        """
        super().__init__(id=id)
        self._tabs = dict(tabs)
        self.set_reactive(TabLine.active, active)

    def render(self) -> RenderResult:
        """The tabs from the left, the status at the right."""
        line = Text(no_wrap=True, overflow="ellipsis", end="")
        for number, (key, title) in enumerate(self._tabs.items(), start=1):
            style = "bold reverse" if key == self.active else ""
            line.append(f" {number} {title} ", style=style)
        room = self.size.width - line.cell_len - self.status.cell_len - 1
        if self.status.cell_len and room > 0:
            line.append(" " * room)
            line.append_text(self.status)
        return line

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        start = 0
        for number, (key, title) in enumerate(self._tabs.items(), start=1):
            end = start + len(f" {number} {title} ")
            if start <= event.x < end:
                self.post_message(self.Chosen(key))
                return
            start = end
