"""Labeled horizontal bars, such as samples per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from ...plain_text import printable

_EIGHTHS = "▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Bar:
    """A label and its value (at least 0); `text` is shown instead of the value."""

    label: str
    value: float
    text: str = ""

    @property
    def shown(self) -> str:
        """The value as text; whole numbers have thousands separators."""
        if self.text:
            return self.text
        return f"{int(self.value):,}" if self.value == int(self.value) else f"{self.value:.4g}"


class Bars(Widget):
    """One line per bar; the longest fills the width. As high as its bars, so put it into a scrolling container."""

    DEFAULT_CSS = """
    Bars { height: auto; color: $foreground; }
    """

    def __init__(self, *, empty: str = "", id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._bars: list[Bar] = []
        self._labels: list[str] = []
        self._numbers: list[str] = []
        self._widest_label = self._widest_number = 0
        self._largest = 0.0
        self._empty = empty

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show these bars, in this order."""
        if list(bars) == self._bars:
            return
        self._bars = list(bars)
        self._labels = [printable(bar.label) for bar in bars]
        self._numbers = [printable(bar.shown) for bar in bars]
        self._widest_label = max(map(cell_len, self._labels), default=0)
        self._widest_number = max(map(cell_len, self._numbers), default=0)
        self._largest = max((bar.value for bar in bars), default=0.0)
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """The height: one line per bar."""
        return max(len(self._bars), 1 if self._empty else 0)

    def render_line(self, y: int) -> Strip:
        """Draw one bar. Only visible bars are drawn, since there may be a thousand classes."""
        width = self.size.width
        text = self._line(y, width) if y < len(self._bars) else Text(self._empty if y == 0 else "", "dim")
        strip = Strip(text.render(self.app.console)).adjust_cell_length(width)
        return strip.apply_style(self.rich_style)

    def _line(self, number: int, width: int) -> Text:
        bar, label = self._bars[number], self._labels[number]
        label_width = min(self._widest_label, max(8, width // 3))
        room = max(1, width - label_width - self._widest_number - 2)
        if cell_len(label) > label_width:
            label = set_cell_size(label, label_width - 1) + "…"
        eighths = round(max(bar.value, 0) / max(self._largest, 1e-12) * room * 8)
        # A value above zero always gets a visible bar.
        eighths = max(eighths, 1 if bar.value > 0 else 0)
        drawn = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")
        return Text.assemble(
            f"{set_cell_size(label, label_width)} ",
            (f"{self._numbers[number]:>{self._widest_number}} ", "bold"),
            (drawn, "bright_blue"),
            end="",
        )
