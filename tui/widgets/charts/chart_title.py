"""The line above a chart: title, cursor position, last value of every line, and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from ...plain_text import printable
from .series import short_number

Role = Literal["title", "settings", "line", "name", "value"]


@dataclass(frozen=True)
class Part:
    """A piece of the title line.

    Attributes:
        text: text to show.
        role: kind of the piece.
        color: color of the curve that it belongs to.
    """

    text: str
    role: Role
    color: str = ""


@dataclass(frozen=True)
class Heading:
    """The content of the title line.

    Attributes:
        title: name of the chart.
        x_label: unit of the x axis.
        cursor: position of the values in the legend; None for the last values.
        legend: name, value and color of every curve.
        settings: settings in use, in long and in short form.
    """

    title: str
    x_label: str
    cursor: float | None
    legend: Sequence[tuple[str, float, str]]
    settings: Sequence[tuple[str, str]]

    def parts(self, width: int) -> list[Part]:
        """Write the line for a chart of this width: shortened step by step until it fits, then cut off."""
        forms = [self._parts(is_long=True, digits=4), self._parts(is_long=False, digits=4)]
        shortest = self._parts(is_long=False, digits=3)
        return next((parts for parts in forms if sum(cell_len(part.text) for part in parts) <= width), shortest)

    def _parts(self, *, is_long: bool, digits: int) -> list[Part]:
        gap = "  " if is_long else " "
        parts = [Part(printable(self.title), "title")]
        if self.cursor is not None:
            at = f"{self.cursor:,.6g}" if abs(self.cursor) < 1e6 else f"{self.cursor:,.0f}"
            words = " ".join(filter(None, ["at", printable(self.x_label), at])) if is_long else f"@{at}"
            parts.append(Part(f" {words}", "settings"))
        for name, value, color in self.legend:
            parts.append(Part(f"{gap if len(parts) > 1 or self.title else ''}━ ", "line", color))
            parts.append(Part(f"{printable(name)} ", "name"))
            parts.append(Part(short_number(value, digits), "value"))
        settings = " · ".join(long for long, _ in self.settings) if is_long else " ".join(s for _, s in self.settings)
        if settings:
            parts.append(Part(f"{gap}{settings}", "settings"))
        return parts
