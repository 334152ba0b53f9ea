"""A panel of pictures, with text above them: the base of the data pane's views in the middle."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from ...drawing import escape
from ...plain_text import printable_lines
from ...widgets.image_grid import GridImage, ImageGrid
from ...widgets.panel import Panel


class PicturesPanel(Panel):
    """Text, and below it pictures; either is left out when there is none."""

    DEFAULT_CSS = """
    PicturesPanel {
        layout: vertical;
        & VerticalScroll { height: auto; max-height: 60%; color: $text-muted; display: none; }
        & VerticalScroll Static { height: auto; }
        &.-only-text VerticalScroll { height: 1fr; max-height: 100%; }
        &.-only-text ImageGrid { display: none; }
    }
    """

    def __init__(self, title: str, *, pictures: str, group: int = 1, least: int = 2, id: str | None = None) -> None:
        """Create the panel.

        Args:
            title: its title, as markup.
            pictures: id of its pictures.
            group: pictures that stay together.
            least: number of groups that must fit.
            id: id of the panel.
        """
        super().__init__(title, id=id)
        self._grid = ImageGrid(empty="", group=group, least=least, id=pictures)

    def compose(self) -> ComposeResult:
        """Lay out the text above the pictures."""
        with VerticalScroll():
            yield Static()
        yield self._grid

    @property
    def grid(self) -> ImageGrid:
        """The pictures."""
        return self._grid

    def show_pictures(self, images: Sequence[GridImage]) -> None:
        """Show these pictures."""
        self.set_class(not images, "-only-text")
        self._grid.set_images(images)

    def say(self, text: str, wrong: str = "", *, markup: str = "") -> None:
        """Show text above the pictures.

        Args:
            text: plain text.
            wrong: plain text below it that says what can't be shown.
            markup: lines of markup below both.
        """
        parts = [escape(printable_lines(text))] if text else []
        if wrong:
            first, *rest = escape(printable_lines(wrong)).splitlines()
            parts += [f"[$text-error]✗ {first}[/]", *(f"[$text-error]  {line}[/]" for line in rest)]
        self.query_one(Static).update("\n".join([*parts, *filter(None, [markup])]))
        self.query_one(VerticalScroll).display = bool(parts or markup)

    def focus_inside(self) -> None:
        """Focus the pictures, or the text if there are none."""
        self.screen.set_focus(self.query_one(VerticalScroll) if self.has_class("-only-text") else self._grid)
