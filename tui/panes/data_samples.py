"""The data pane's samples view: originals and augmented samples side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ..plain_text import printable_lines
from ..widgets.image_grid import GridImage, ImageGrid
from ..words import data_text as data_words

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import SampleLook


class SamplesView(Vertical):
    """Pictures, or a description of samples without pictures, and below it what can't be shown."""

    DEFAULT_CSS = """
    SamplesView > #shown { height: auto; max-height: 7; overflow-y: auto; color: $text-muted; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._shown: tuple[SampleLook, int, str] | None = None

    def compose(self) -> ComposeResult:
        """Lay out the description and the pictures."""
        yield Static(id="shown", markup=False)
        yield ImageGrid(empty="", group=2, least=8, id="images")

    def show(self, look: SampleLook, epoch: int, class_name: str) -> None:
        """Show some samples.

        Args:
            look: samples to show.
            epoch: epoch whose random draws transform them, from 1.
            class_name: class of all of them; empty if they are of any class.
        """
        images = []
        for sample in look.samples:
            images += [GridImage(sample.raw, sample.target), GridImage(sample.shown, f"→ {sample.target}")]
        for text in look.texts:
            if text.raw_slice is not None and text.shown_slice is not None:
                images += [GridImage(text.raw_slice, text.target), GridImage(text.shown_slice, f"→ {text.target}")]
        grid = self.query_one(ImageGrid)
        grid.set_images(images)
        grid.display = bool(images) or not look.texts
        self._shown = look, epoch, class_name
        self._tell()

    def _tell(self) -> None:
        if self._shown is None:
            return
        look, epoch, class_name = self._shown
        grid = self.query_one(ImageGrid)
        lines = []
        if look.samples or look.texts:
            of = f" of {class_name}" if class_name else ""
            how = " · Enter enlarges" if look.samples else " · middle slices" if grid.images else ""
            line = f"original{of} → augmented (epoch {epoch}){how}"
            way = f" · {grid.way}" if grid.images else ""
            has_room = not self.size.width or cell_len(line + way) <= self.size.width
            lines.append(line + way * has_room)
        wrong = [look.error, *look.unreadable] if look.error not in look.unreadable else look.unreadable
        self._say("\n".join(lines + data_words.texts(look)), "\n".join(filter(None, wrong)))

    @on(ImageGrid.WayChanged)
    def _tell_of_way(self, message: ImageGrid.WayChanged) -> None:
        message.stop()
        self._tell()

    def say_wrong(self, text: str) -> None:
        """Show why there is no sample to show."""
        self._shown = None
        self._say("", text)

    def _say(self, text: str, wrong: str = "") -> None:
        """Show a description and, in red below it, what can't be shown."""
        parts = [(printable_lines(text), ""), ("\n" if text and wrong else "", ""), (printable_lines(wrong), "red")]
        self.query_one("#shown", Static).update(Text.assemble(*parts))
