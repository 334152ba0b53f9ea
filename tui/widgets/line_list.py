"""A list of one-line entries with a cursor; only visible entries are rendered."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip


class LineList(ScrollView, can_focus=True):
    """A list whose cost depends on its visible lines only, so a filter can replace thousands of lines at every key.

    Attributes:
        cursor: index of the highlighted line; undefined while there are no lines.
    """

    DEFAULT_CSS = """
    LineList { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"line-list--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", "Move up", show=False),
        Binding("down", "move(1)", "Move down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "go_to(0)", "First", show=False),
        Binding("end", "go_to(-1)", "Last", show=False),
        Binding("enter", "select", "Choose", show=False),
    ]

    cursor: reactive[int] = reactive(0)

    class Selected(Message):
        """Enter was pressed on a line, or it was clicked."""

        def __init__(self, line_list: LineList, index: int) -> None:
            super().__init__()
            self.line_list = line_list
            self.index = index

        @property
        def control(self) -> LineList:
            """The list that sent it."""
            return self.line_list

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._count = 0
        self._line: Callable[[int], Text] = lambda index: Text()

    @property
    def count(self) -> int:
        """Number of lines."""
        return self._count

    def set_lines(self, count: int, line: Callable[[int], Text], cursor: int = 0) -> None:
        """Replace the lines.

        Args:
            count: number of lines.
            line: function that returns the text of a line, called whenever the line is drawn.
            cursor: index of the highlighted line.
        """
        self._count = count
        self._line = line
        self.virtual_size = Size(0, count)
        self.cursor = cursor
        self._reveal()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line of the widget."""
        index = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        style = self.rich_style
        if index >= self._count:
            return Strip.blank(width, style)
        if index == self.cursor:
            style = self.get_component_rich_style("line-list--cursor")
        text = self._line(index)
        text.truncate(width, overflow="ellipsis", pad=True)
        return Strip(text.render(self.app.console), width).apply_style(style)

    def validate_cursor(self, cursor: int) -> int:
        """Clamp the cursor to the lines."""
        return max(0, min(cursor, self._count - 1))

    def watch_cursor(self) -> None:
        """Scroll to the cursor and redraw it."""
        self._reveal()
        self.refresh()

    def action_move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor += by

    def action_page(self, by: int) -> None:
        """Move the cursor by a page."""
        self.cursor += by * max(1, self.scrollable_content_region.height - 1)

    def action_go_to(self, index: int) -> None:
        """Move the cursor to a line, counted from the end if negative."""
        self.cursor = index if index >= 0 else self._count + index

    def action_select(self) -> None:
        """Choose the line under the cursor."""
        if self._count:
            self.post_message(self.Selected(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Choose the line that was clicked."""
        index = event.y + self.scroll_offset.y
        if 0 <= index < self._count:
            self.cursor = index
            self.action_select()

    def _reveal(self) -> None:
        self.scroll_to_region(Region(0, self.cursor, 1, 1), animate=False, force=True)
