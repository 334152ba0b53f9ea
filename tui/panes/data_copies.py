"""The data pane's copies view: exact duplicates, and training samples that are also in another split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ..plain_text import printable, printable_lines
from ..widgets.image_grid import GridImage, ImageGrid
from ..words import data_text as data_words

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import DuplicateReport


class CopiesView(Vertical):
    """The result of a comparison, with a picture of each sample that occurs more than once."""

    DEFAULT_CSS = """
    CopiesView > #found { height: auto; max-height: 7; overflow-y: auto; color: $text-muted; margin-bottom: 1; }
    """

    def compose(self) -> ComposeResult:
        """Lay out the result and the pictures."""
        yield Static(id="found", markup=False)
        yield ImageGrid(empty="", least=8, id="copied")

    def say(self, lines: list[str], style: str = "") -> None:
        """Show a message in place of a result."""
        self._tell(lines, style)
        self.query_one(ImageGrid).set_images([])

    def show(self, report: DuplicateReport, classes: list[str]) -> None:
        """Show the result of a comparison."""
        self._tell(data_words.copies(report))
        examples = [
            GridImage(each.pixels, data_words.members(each, classes))
            for each in report.examples
            if each.pixels is not None
        ]
        self.query_one(ImageGrid).set_images(examples)

    def _tell(self, lines: list[str], style: str = "") -> None:
        self.query_one("#found", Static).update(Text(printable_lines("\n".join(lines)), style=style))

    @on(ImageGrid.Chosen)
    def _tell_where(self, message: ImageGrid.Chosen) -> None:
        message.stop()
        self.notify(printable(message.grid.images[message.group].caption), timeout=15, markup=False)
