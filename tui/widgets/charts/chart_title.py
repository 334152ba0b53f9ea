"""The frame of a chart: its title with the last value of every line, and what is set, in the corner below."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ...drawing import cells, name
from .series import short_number


@dataclass(frozen=True)
class Heading:
    """The content of the title.

    Attributes:
        title: name of the chart.
        x_label: unit of the x axis.
        cursor: position of the values in the legend; None for the last values.
        legend: name, value and color of every curve.
        hidden: names of the curves that are not drawn.
    """

    title: str
    x_label: str
    cursor: float | None
    legend: Sequence[tuple[str, float, str]]
    hidden: Collection[str] = ()

    def markup(self, width: int) -> str:
        """Write the title: where it is too long, the names of the lines go first, then digits."""
        forms = [self._form(are_named=named, digits=digits) for named, digits in ((True, 4), (False, 4), (False, 3))]
        return next((form for form in forms if cells(form) <= width), forms[-1])

    def _form(self, *, are_named: bool, digits: int) -> str:
        parts = [name(self.title)] if self.title else []
        if self.cursor is not None:
            at = f"{self.cursor:,.6g}" if abs(self.cursor) < 1e6 else f"{self.cursor:,.0f}"
            words = f"at {name(self.x_label)} {at}" if are_named and self.x_label else f"@{at}"
            parts.append(f"[not bold $text-muted]{words}[/]")
        for number, (line, value, color) in enumerate(self.legend):
            label = f"━ {name(line)}" if are_named and line else "━"
            shown = f"[not bold {color}]{label}[/] [$text]{short_number(value, digits)}[/]"
            if line in self.hidden:
                shown = f"[not bold $text-disabled]{label.replace('━', '╌', 1)}[/]"
            # A click hides the line, or shows it again.
            parts.append(f"[@click=toggle_line({number})]{shown}[/]" if len(self.legend) > 1 else shown)
        return ("  " if are_named else " ").join(parts)


def corner(settings: Sequence[str], note: str, width: int) -> str:
    """What is set, with a note before it, as markup; settings that do not fit are left out from the left.

    Args:
        settings: the unit of the x axis last.
        note: markup; left out if it does not fit beside the last setting.
        width: room in cells.
    """
    shown = [name(setting) for setting in settings if setting]
    for head in (f"{note}   ", "") if note else ("",):
        kept = [*shown]
        while len(kept) > 1 and cells(head + " · ".join(kept)) > width:
            del kept[0]
        if cells(text := head + " · ".join(kept)) <= width:
            return text
    return ""
