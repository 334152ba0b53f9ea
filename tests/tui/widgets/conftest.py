"""Fixtures for tests of widgets: a bare app and the text on its screen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from look_app import LookApp
from textual.app import App, ComposeResult
from textual.message import Message
from textual.widget import Widget


class WidgetApp(App[None]):
    """One widget, and every message it posted."""

    def __init__(self, widget: Widget) -> None:
        super().__init__()
        self.widget = widget
        self.posted: list[Message] = []

    def compose(self) -> ComposeResult:
        yield self.widget


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
