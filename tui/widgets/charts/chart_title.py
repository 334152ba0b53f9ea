"""The line above a chart: its title, where its cursor stands, the last value of every line, and its settings."""

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
    """A piece of the line.

    Attributes:
        text: as it is shown.
        role: what it is.
        color: of the line that it belongs to.
    """

    text: str
    role: Role
    color: str = ""


@dataclass(frozen=True)
class Heading:
    """What a chart says of itself.

    Attributes:
        title: what is measured.
        x_label: what the x axis counts.
        cursor: where the values are read; None for the last ones.
        legend: name, value and color of every line.
        settings: what is set, in full and in short.
    """

    title: str
    x_label: str
    cursor: float | None
    legend: Sequence[tuple[str, float, str]]
    settings: Sequence[tuple[str, str]]

    def parts(self, width: int) -> list[Part]:
        """The line for a chart of this width: shortened step by step until it fits, cut off where nothing helps."""
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
