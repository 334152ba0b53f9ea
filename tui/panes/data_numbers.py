"""The data pane's numbers view: statistics of pixels, sizes and classes, and where the samples are stored."""

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
    """Measured statistics, and the number of training samples per class."""

    DEFAULT_CSS = """
    NumbersView {
        height: auto;
        & #measured { height: auto; }
        & #counts_heading { margin-top: 1; }
    }
    """

    def compose(self) -> ComposeResult:
        """Lay out the statistics and a bar per class."""
        yield Static("Statistics", classes="heading")
        yield Static(id="measured", markup=False)
        yield Static("Class balance", id="counts_heading", classes="heading")
        yield Bars(id="counts")

    def show(self, look: DataLook, samples: SampleLook | None) -> None:
        """Show what is known of an opened data set."""
        words = data_words.numbers(look.pixels, look.balance, look.train_size)
        words += [*data_words.tier(samples), *data_words.notes(look, samples)]
        self.query_one("#measured", Static).update(Text(printable_lines("\n".join(words))))
        # Targets other than classes have no counts.
        bars = [Bar(name, count) for name, count in zip(look.classes, look.class_counts, strict=False)]
        self.query_one(Bars).set_bars(bars)

    def say_wrong(self, text: str) -> None:
        """Say why nothing was measured."""
        self.query_one("#measured", Static).update(Text(printable_lines(text), "red"))
