"""Lines in full, over the pane: a module of a model, an entry of the log."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from ..drawing import name
from ..keys.bindings import bindings
from .dialog import OverScreen

_WIDTH = 96


class LinesScreen(OverScreen[None]):
    """Scrolls through lines that a panel has no room for."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("lines")

    def __init__(self, title: str, lines: Callable[[int], list[str]]) -> None:
        """Create the screen.

        Args:
            title: what they are about.
            lines: makes the lines as markup, from the width in cells.
        """
        super().__init__()
        self._title = title
        self._lines = lines

    def compose(self) -> ComposeResult:
        """Lay out the lines."""
        with Vertical(classes="dialog") as box:
            box.border_title = name(self._title)
            box.border_subtitle = "[b]Esc[/] closes"
            with VerticalScroll():
                yield Static("\n".join(self._lines(min(_WIDTH, self.app.size.width - 10))))
