"""A tile of the train pane: one figure, large where there is room."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Digits

from ...drawing import name
from ...widgets.panel import Box, Lines
from ...words.train.tile_text import Figure, tile_lines


class Tile(Box):
    """A figure with a note and its trend; the stylesheet shows digits of three lines at 60 lines only."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id, classes="tile")
        self._shown: Figure | None = None

    def compose(self) -> ComposeResult:
        """Lay out the large digits above the lines."""
        yield Digits("")
        small = Lines(classes="small")
        # The tile is the panel.
        small.remove_class("panel")
        yield small

    def show(self, content: Figure) -> None:
        """Show a figure; nothing is painted if it is the same."""
        if content == self._shown:
            return
        if self._shown is None or self._shown.title != content.title:
            self.border_title = name(content.title)
        self._shown = content
        self.query_one(Digits).update(content.value)
        self.query_one(Lines).show(lambda width, height: tile_lines(content, width, height))
