"""Labelled horizontal bars, such as samples per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import RenderResult
from textual.geometry import Size
from textual.widget import Widget

from tui.widgets.plain_text import printable

_EIGHTHS = "▏▎▍▌▋▊▉"


@dataclass(frozen=True)
class Bar:
    """A label and its value (at least 0); `text` is shown instead of the value."""

    label: str
    value: float
    text: str = ""

    @property
    def shown(self) -> str:
        """The value for reading: whole numbers with thousands separators."""
        if self.text:
            return self.text
        return f"{int(self.value):,}" if self.value == int(self.value) else f"{self.value:.4g}"


class Bars(Widget):
    """One line for each bar; the longest fills the width. As high as its bars: put it into a scrolling container."""

    DEFAULT_CSS = """
    Bars { height: auto; color: $foreground; }
    """

    def __init__(self, *, empty: str = "", id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._bars: list[Bar] = []
        self._empty = empty

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show these, in this order."""
        if list(bars) != self._bars:
            self._bars = list(bars)
            self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """One line for each."""
        return max(len(self._bars), 1 if self._empty else 0)

    def render(self) -> RenderResult:
        """All lines."""
        if not self._bars:
            return Text(self._empty, "dim")
        labels = [printable(bar.label) for bar in self._bars]
        numbers = [printable(bar.shown) for bar in self._bars]
        number_width = max(map(cell_len, numbers))
        label_width = min(max(map(cell_len, labels)), max(8, self.size.width // 3))
        room = max(1, self.size.width - label_width - number_width - 2)
        largest = max(max(bar.value for bar in self._bars), 1e-12)
        lines = []
        for bar, label, number in zip(self._bars, labels, numbers, strict=True):
            if cell_len(label) > label_width:
                label = set_cell_size(label, label_width - 1) + "…"
            eighths = round(max(bar.value, 0) / largest * room * 8)
            # What is not zero is never drawn as if it were.
            eighths = max(eighths, 1 if bar.value > 0 else 0)
            drawn = "█" * (eighths // 8) + (_EIGHTHS[eighths % 8 - 1] if eighths % 8 else "")
            lines.append(
                Text.assemble(
                    f"{set_cell_size(label, label_width)} ",
                    (f"{number:>{number_width}} ", "bold"),
                    (drawn, "bright_blue"),
                )
            )
        return Text("\n", no_wrap=True).join(lines)
