"""Fixtures for tests of widgets: a bare app and the text on its screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from textual._compositor import CompositorUpdate
from textual.app import App, ComposeResult
from textual.message import Message
from textual.screen import Screen
from textual.widget import Widget

from torchdeck.tui.look.themes import OWN_THEMES, meanings_for

STYLES = Path(__file__).parents[3] / "tui" / "studio.tcss"


class WidgetApp(App[None]):
    """One widget, and every message it posted."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget
        self.posted: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.widget


class LookApp(App[None]):
    """Widgets in the studio's look, every message they posted, and how much was sent to the terminal."""

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


@pytest.fixture
def app_with() -> Callable[[Widget], WidgetApp]:
    return WidgetApp


@pytest.fixture
def look_with() -> Callable[..., LookApp]:
    return LookApp


@pytest.fixture
def lines_of() -> Callable[[App[None]], list[str]]:
    """The lines on the screen, without trailing spaces."""

    def read(app: App[None]) -> list[str]:
        return [strip.text.rstrip() for strip in app.screen._compositor.render_strips(app.size)]

    return read
