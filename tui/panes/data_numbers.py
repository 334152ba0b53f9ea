"""The data pane's view of numbers: pixels, sizes, classes and where samples live."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from ..plain_text import printable_lines
from ..widgets.charts.bars import Bar, Bars
from ..words import data_text as data_words

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import DataLook, SampleLook


class NumbersView(Vertical):
    """What was measured, and how many training samples each class has."""

    DEFAULT_CSS = """
    NumbersView {
        height: auto;
        & #measured { height: auto; }
        & #counts_heading { margin-top: 1; }
    }
    """

    def compose(self) -> ComposeResult:
        """What was measured, a bar for each class."""
        yield Static("pixels, labels and where they live", classes="heading")
        yield Static(id="measured", markup=False)
        yield Static("training samples of each class", id="counts_heading", classes="heading")
        yield Bars(id="counts")

    def show(self, look: DataLook, samples: SampleLook | None) -> None:
        """Show what is known of an opened data set."""
        words = data_words.numbers(look.pixels, look.balance, look.train_size)
        words += [*data_words.tier(samples), *data_words.notes(look, samples)]
        self.query_one("#measured", Static).update(Text(printable_lines("\n".join(words))))
        # Targets that are no classes have no counts.
        bars = [Bar(name, count) for name, count in zip(look.classes, look.class_counts, strict=False)]
        self.query_one(Bars).set_bars(bars)

    def say_wrong(self, text: str) -> None:
        """Say why nothing was measured."""
        self.query_one("#measured", Static).update(Text(printable_lines(text), "red"))
