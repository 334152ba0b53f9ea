"""The data pane's copies: exact duplicates, and training samples that are also in another split."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import on

from ...widgets.image_grid import GridImage, ImageGrid
from ...words.data import data_text as data_words
from .pictures import PicturesPanel

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import DuplicateReport

_NOT_COMPARED = "[$text-muted]○[/]  [b]the splits are not compared yet[/]\n   [b $key]c[/] compares every sample"


class CopiesView(PicturesPanel):
    """The result of a comparison, with a picture of each sample that occurs more than once.

    Attributes:
        report: the result; None before a comparison.
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__("Copies", pictures="copied", least=4, id=id)
        self.report: DuplicateReport | None = None

    def forget(self) -> None:
        """Show that this data set is not compared yet."""
        self.report = None
        self.show_pictures([])
        self.entitle("Copies", "")
        self.say("", markup=_NOT_COMPARED)

    def say_progress(self, markup: str) -> None:
        """Show how far the comparison is."""
        self.say("", markup=markup)

    def say_wrong(self, text: str) -> None:
        """Show why nothing was compared."""
        self.say("", text)

    def show(self, report: DuplicateReport, classes: list[str]) -> None:
        """Show the result of a comparison."""
        self.report = report
        self.show_pictures(
            [
                GridImage(each.pixels, data_words.members(each, classes))
                for each in report.examples
                if each.pixels is not None
            ]
        )
        self.entitle("Copies", f"compared by {report.compared}")
        self.say("\n".join(data_words.copies(report)))

    @on(ImageGrid.Chosen)
    def _tell_where(self, message: ImageGrid.Chosen) -> None:
        message.stop()
        self.app.notify(message.grid.images[message.group].caption, title="Where it is", timeout=15)
