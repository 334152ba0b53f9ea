"""A chart in its frame, and what it shows."""

from __future__ import annotations

from textual.app import App, ComposeResult

from torchdeck.tui.widgets.charts.chart import Chart


class FramedApp(App[None]):
    """A chart in the frame that its title and settings are part of."""

    CSS = ".panel { border: round $foreground; }"

    def __init__(self, chart: Chart) -> None:
        super().__init__()
        self.chart = chart

    def compose(self) -> ComposeResult:
        yield self.chart


def lines_of(app: App[None]) -> list[str]:
    """The lines on the screen: the title, the plot and the settings without the frame at their sides."""
    lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips(app.size)]
    return [line[1:-1].removeprefix("─ ").rstrip() for line in lines]


def is_braille(character: str) -> bool:
    return "\u2801" <= character <= "\u28ff"


def dots(lines: list[str]) -> int:
    """Number of cells with a part of a curve."""
    return sum(is_braille(character) for line in lines for character in line)
