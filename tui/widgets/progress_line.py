"""Progress in one line of text."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.app import RenderResult
from textual.widget import Widget

from ..plain_text import printable

_SHORTEST_BAR, _LONGEST_BAR = 6, 40


class ProgressLine(Widget):
    """The current work, its progress, and further details.

    Example: `epoch 3/30 ━━━━╸──── 45 %  12,400 samples/s  1:20 left`.
    """

    DEFAULT_CSS = """
    ProgressLine { height: 1; color: $foreground; }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._state: tuple[str, float | None, str] = ("", None, "")

    def show(self, what: str, fraction: float | None = None, details: str = "") -> None:
        """Show new progress; redraws only if the visible line changes.

        Args:
            what: text before the bar.
            fraction: progress from 0 to 1; None if unknown, which hides the bar.
            details: text after the bar.
        """
        before = progress_text(*self._state, self.size.width)
        self._state = (what, fraction, details)
        if progress_text(*self._state, self.size.width) != before:
            self.refresh()

    def render(self) -> RenderResult:
        """Draw the line."""
        return progress_text(*self._state, self.size.width)


def progress_text(what: str, fraction: float | None, details: str, width: int) -> Text:
    """Write a line of at most `width` cells; if it is too long, drop the bar first, then the details."""
    what, details = printable(what), printable(details)
    text = Text(what, no_wrap=True, overflow="ellipsis")
    if fraction is not None:
        part = min(max(fraction, 0.0), 1.0)
        percent = f"{int(100 * part):3d} %"
        room = width - cell_len(what) - cell_len(percent) - cell_len(details) - 4
        if room >= _SHORTEST_BAR:
            length = min(room, _LONGEST_BAR)
            halves = int(part * length * 2)
            done = "━" * (halves // 2) + "╸" * (halves % 2)
            text.append(" ").append(done, "green").append("─" * (length - len(done)), "dim")
        text.append(f" {percent}", "bold")
    if details:
        text.append(f"  {details}", "dim")
    text.truncate(max(width, 1), overflow="ellipsis")
    return text


def duration(seconds: float) -> str:
    """Write a duration as 9 s, 1:05, 2:03:07 or 3 d 04:00."""
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole // 60 % 60
    if whole < 60:
        return f"{whole} s"
    if hours >= 24:
        return f"{hours // 24} d {hours % 24:02d}:{minutes:02d}"
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
