"""One line of tabs, each with its key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.text import Text
from textual import events
from textual.app import RenderResult
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TabLine(Widget):
    """Shows which of a few tabs is active; a click chooses one, and the owner handles the keys.

    Attributes:
        active: name of the active tab.
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

        line: TabLine
        tab: str

        @property
        def control(self) -> TabLine:
            """The line that sent it."""
            return self.line

    def __init__(
        self, tabs: Mapping[str, str], active: str, *, keys: Sequence[str] = "", id: str | None = None
    ) -> None:
        """Create a line of tabs.

        Args:
            tabs: titles by name, in order.
            active: name of the tab that is active first.
            keys: keys to show before the titles; by default, numbers from 1.
            id: id of the widget.
        """
        super().__init__(id=id)
        self._tabs = dict(tabs)
        self._keys = list(keys) or [str(number) for number in range(1, len(tabs) + 1)]
        self.set_reactive(TabLine.active, active)

    def render(self) -> RenderResult:
        """Draw the tabs from the left and the status at the right."""
        line = Text(no_wrap=True, overflow="ellipsis", end="")
        for key, (tab, title) in zip(self._keys, self._tabs.items(), strict=True):
            style = "bold reverse" if tab == self.active else ""
            line.append(f" {key} {title} ", style=style)
        room = self.size.width - line.cell_len - self.status.cell_len - 1
        if self.status.cell_len and room > 0:
            line.append(" " * room)
            line.append_text(self.status)
        return line

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        start = 0
        for key, (tab, title) in zip(self._keys, self._tabs.items(), strict=True):
            end = start + len(f" {key} {title} ")
            if start <= event.x < end:
                event.stop()
                self.post_message(self.Chosen(self, tab))
                return
            start = end
