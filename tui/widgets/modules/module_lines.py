"""The lines of a module tree, with the keys that open and close them."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from ..line_list import LineList


class ModuleLines(LineList):
    """The lines of the tree: keys that open and close."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right", "unfold", "expand, or go to the first child", show=False),
        Binding("left", "fold", "collapse, or go to the parent", show=False),
        Binding("space", "select", "expand or collapse", show=False),
    ]

    class Moved(Message):
        """The cursor is on another line."""

    class Turned(Message):
        """The line under the cursor is to be opened or closed."""

        def __init__(self, is_open: bool) -> None:
            super().__init__()
            self.is_open = is_open

    def watch_cursor(self) -> None:
        """Tell where it is."""
        super().watch_cursor()
        self.post_message(self.Moved())

    def action_unfold(self) -> None:
        """Open the line."""
        self.post_message(self.Turned(True))

    def action_fold(self) -> None:
        """Close the line."""
        self.post_message(self.Turned(False))
