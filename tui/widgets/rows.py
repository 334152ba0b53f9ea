"""Rows with a cursor: every list, table, tree and form of the studio is one of these."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.reactive import reactive

from ..keys.bindings import bindings
from .kept_lines import KeptLines
from .panel import Panel

_WHEEL_ROWS = 3
# What is seen of rows without room.
_NOTHING: tuple[object, ...] = ([], -1, False)


class Rows(Panel, can_focus=True):
    """A list whose cost depends on the rows that are seen, however many there are.

    A row is one line of markup; cells may hold bars and traces. A move of the cursor paints two rows and the frame's
    lower line, not the panel.

    Attributes:
        cursor: index of the row under the cursor; undefined without rows.
    """

    DEFAULT_CSS = "Rows { text-wrap: nowrap; text-overflow: ellipsis; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings("rows")

    cursor: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class Moved(Message):
        """The cursor is on another row."""

        rows: Rows

        @property
        def control(self) -> Rows:
            """The rows that sent it."""
            return self.rows

    @dataclass
    class Clicked(Message):
        """A second click on the row under the cursor, of rows that leave Enter to their owner."""

        rows: Rows

        @property
        def control(self) -> Rows:
            """The rows that sent it."""
            return self.rows

    @dataclass
    class HeadClicked(Message):
        """A click on the heading.

        Args:
            rows: the rows that sent it.
            x: cell of the click from the left end of the heading.
        """

        rows: Rows
        x: int

        @property
        def control(self) -> Rows:
            """The rows that sent it."""
            return self.rows

    def __init__(self, title: str = "", *, id: str | None = None, classes: str = "") -> None:
        super().__init__(title, id=id, classes=classes)
        self.count = 0
        self._row: Callable[[int, int], str] = lambda index, width: ""
        self._head: Callable[[int], Sequence[str]] = lambda width: ()
        self._headings: Collection[int] = ()
        self._empty: Callable[[int, int], Sequence[str]] = lambda width, height: ()
        self._position: str | Callable[[int], str] = ""
        self._top = 0
        self._clicked: int | None = None
        self._painted: tuple[object, ...] = _NOTHING
        self._kept = KeptLines()

    def set_rows(
        self,
        count: int,
        row: Callable[[int, int], str],
        *,
        head: Callable[[int], Sequence[str]] | None = None,
        headings: Collection[int] = (),
        empty: Callable[[int, int], Sequence[str]] | None = None,
        cursor: int | None = None,
        position: str | Callable[[int], str] | None = None,
    ) -> None:
        """Replace the rows. Nothing is painted if what is seen did not change.

        Args:
            count: number of rows.
            row: makes the markup of a row from its index and the width in cells.
            head: makes the lines above the rows from the width.
            headings: indices of rows on which the cursor can't rest.
            empty: lines to show while there are no rows, from width and height.
            cursor: index of the row under the cursor; None leaves it.
            position: markup for the frame's lower right, or a function that makes it from the index of the row under
                the cursor; None counts the rows.
        """
        self.count, self._row, self._headings = count, row, headings
        self._head = head or (lambda width: ())
        self._empty = empty or (lambda width, height: ())
        self._position = position if position is not None else self._counted
        self._clicked = None
        wanted = self.cursor if cursor is None else cursor
        self.set_reactive(Rows.cursor, self._resting(max(0, min(wanted, count - 1)), 1))
        self._say_position()
        if self._seen() != self._painted:
            self.refresh()

    def refresh_rows(self, *indices: int) -> None:
        """Paint some rows anew, because what `row` makes of them has changed; all of them without an argument."""
        if not indices:
            self.refresh()
            return
        head = len(self._head(self.size.width))
        places = [index - self._top + head for index in indices]
        shown = [Region(0, place, self.size.width, 1) for place in places if head <= place < self.size.height]
        if shown:
            self.refresh(*shown)

    @property
    def first_shown(self) -> int:
        """Index of the first row that is seen."""
        return self._top

    def render(self) -> RenderResult:
        """Draw the heading and the rows that are seen."""
        self._painted = self._seen()
        lines, at = self._painted[0], self._painted[1]
        assert isinstance(lines, list) and isinstance(at, int)
        mark = f"{'cursor' if self.has_focus else 'idle'} {self.size.width}"
        return self._kept.content(lines, theme=self.app.theme, at=at, mark=mark, marked=self._under_cursor)

    def _under_cursor(self, line: Content) -> Content:
        line = line.pad_right(max(0, self.size.width - line.cell_length))
        if not self.has_focus:
            return line.stylize_before("on $cursor-idle")
        return line.stylize_before("$text on $cursor").stylize("bold")

    def _seen(self) -> tuple[object, ...]:
        """The lines that are seen, the place of the cursor among them (-1 for none), and how it is marked."""
        width, height = self.size
        if width <= 0 or height <= 0:
            return _NOTHING
        if not self.count:
            return (list(self._empty(width, height)), -1, False)
        head = list(self._head(width))
        room = max(1, height - len(head))
        self._scroll_to_cursor(room)
        rows = [self._row(index, width) for index in range(self._top, min(self.count, self._top + room))]
        return ([*head, *rows], len(head) + self.cursor - self._top, self.has_focus)

    def _scroll_to_cursor(self, room: int) -> None:
        self._top = max(0, min(self._top, self.count - room))
        # A heading above the first row that can be chosen is seen too.
        first = self.cursor - 1 if self.cursor - 1 in self._headings else self.cursor
        if first < self._top:
            self._top = first
        elif self.cursor >= self._top + room:
            self._top = self.cursor - room + 1

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a row."""
        return max(0, min(cursor, self.count - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        """Paint the two rows, or all if they scroll."""
        if before == now or not self.is_mounted:
            return
        width, height = self.size
        head = len(self._head(width)) if width > 0 else 0
        top = self._top
        if height > head:
            # Before the first layout, no row is out of sight.
            self._scroll_to_cursor(height - head)
        if top == self._top:
            self.refresh_rows(before, now)
        else:
            self.refresh()
        self._say_position()
        self.post_message(self.Moved(self))

    def _say_position(self) -> None:
        self.entitle(subtitle=self._position if isinstance(self._position, str) else self._position(self.cursor))

    def _counted(self, cursor: int) -> str:
        return f"{cursor + 1:,} of {self.count:,}" if self.count else ""

    def refresh_head(self) -> None:
        """Paint the lines above the rows anew."""
        height = len(self._head(self.size.width)) if self.size.width > 0 else 0
        if height:
            self.refresh(Region(0, 0, self.size.width, height))

    def _resting(self, index: int, direction: int) -> int:
        """The nearest row on which the cursor can rest, first in one direction, then in the other."""
        for step in (direction, -direction):
            at = index
            while 0 <= at < self.count and at in self._headings:
                at += step
            if 0 <= at < self.count:
                return at
        return index

    def action_move(self, by: int) -> None:
        """Move the cursor by rows."""
        target = max(0, min(self.count - 1, self.cursor + by))
        self.cursor = self._resting(target, 1 if by > 0 else -1)

    def action_page(self, by: int) -> None:
        """Move the cursor by pages."""
        self.action_move(by * max(1, self.size.height - len(self._head(self.size.width)) - 1))

    def action_go_to(self, index: int) -> None:
        """Move the cursor to a row, counted from the end if negative."""
        at = index if index >= 0 else self.count + index
        self.cursor = self._resting(at, 1 if index >= 0 else -1)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Move down."""
        event.stop()
        self.action_move(_WHEEL_ROWS)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Move up."""
        event.stop()
        self.action_move(-_WHEEL_ROWS)

    async def on_click(self, event: events.Click) -> None:
        """Put the cursor on a row; a second click does what Enter does."""
        offset = event.get_content_offset(self)
        if offset is None or not self.count:
            return
        event.stop()
        head = len(self._head(self.size.width))
        if offset.y < head:
            self.post_message(self.HeadClicked(self, offset.x))
            return
        index = self._top + offset.y - head
        if event.chain == 2 and self._clicked is not None:
            # The first click may have scrolled another row below the mouse.
            index = self._clicked
        self._clicked = index
        if 0 <= index < self.count and index not in self._headings:
            self.cursor = index
            if event.chain == 2 and (action := self._action_of_enter()):
                await self.run_action(action)
            elif event.chain == 2:
                self.post_message(self.Clicked(self))

    def _action_of_enter(self) -> str:
        """What Enter does here, whichever key the user has given it; empty if these rows leave it to their owner."""
        every = [binding for each in type(self).__mro__ for binding in vars(each).get("BINDINGS", ())]
        own = [binding for binding in every if isinstance(binding, Binding)]
        return next((binding.action for binding in own if "enter" in binding.key.split(",")), "")
