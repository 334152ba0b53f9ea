"""An app in the studio's look."""

from __future__ import annotations

from pathlib import Path

from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.screen import Screen
from textual.widget import Widget

from torchdeck.tui.look.themes import OWN_THEMES, meanings_for

STYLES = Path(__file__).parents[3] / "tui" / "studio.tcss"


class LookApp(App[None]):
    """Widgets in the studio's look, and all that was sent to the terminal."""

    CSS_PATH = STYLES

    def __init__(self, *widgets: Widget) -> None:
        super().__init__()
        self.register_theme(OWN_THEMES[0])
        self.theme = OWN_THEMES[0].name
        self._widgets = widgets
        self.sent: list[str] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return meanings_for(self.current_theme)

    def compose(self) -> ComposeResult:
        yield from self._widgets

    def _display(self, screen: Screen[object], renderable: object) -> None:
        if isinstance(renderable, CompositorUpdate):
            self.sent.append(renderable.render_segments(self.console))
