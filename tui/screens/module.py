"""One module of a model in full, over the pane."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from ..drawing import name
from .dialog import OverScreen

_WIDTH = 96


class ModuleScreen(OverScreen[None]):
    """Scrolls through everything that is known of a module."""

    DEFAULT_CSS = """
    ModuleScreen VerticalScroll { width: 100; max-width: 100%; height: auto; max-height: 100%; }
    ModuleScreen Static { width: 1fr; height: auto; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,i", "dismiss", "Back", tooltip="Back to the tree")]

    def __init__(self, title: str, lines: Callable[[int], list[str]]) -> None:
        """Create the screen.

        Args:
            title: path of the module.
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
