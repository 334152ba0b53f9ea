"""The lines of a module tree, with the keys that expand and collapse them."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from ..line_list import LineList


class ModuleLines(LineList):
    """The lines of the tree, with keys that expand and collapse."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "unfold", "expand, or go to the first child", show=False),
        Binding("left", "fold", "collapse, or go to the parent", show=False),
        Binding("space", "select", "expand or collapse", show=False),
    ]

    class Moved(Message):
        """The cursor moved to another line."""

    class Turned(Message):
        """The user asked to expand or collapse the line under the cursor."""

        def __init__(self, is_open: bool) -> None:
            super().__init__()
            self.is_open = is_open

    def watch_cursor(self) -> None:
        """Post the new position of the cursor."""
        super().watch_cursor()
        self.post_message(self.Moved())

    def action_unfold(self) -> None:
        """Expand the line."""
        self.post_message(self.Turned(True))

    def action_fold(self) -> None:
        """Collapse the line."""
        self.post_message(self.Turned(False))
