"""The log pane: whatever user code, C++ and workers print, and the engine's own errors."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Static

from tui.widgets.log_view import LogView


class LogPane(Widget, can_focus=True):
    """Tails one file at a time.

    Before a run it is the studio's own log, then the `engine.log` of the run that is watched.
    """

    DEFAULT_CSS = """
    LogPane { layout: vertical; }
    LogPane > #file { height: 1; color: $text-muted; padding: 0 1; }
    """

    def __init__(self, file: Path | None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._file = file

    def compose(self) -> ComposeResult:
        """The file's name above its lines."""
        yield Static(id="file")
        yield LogView()

    def on_mount(self) -> None:
        """Show the first file."""
        self.follow(self._file)

    def follow(self, file: Path | None) -> None:
        """Show another file from its beginning."""
        self._file = file
        self.query_one("#file", Static).update(str(file) if file is not None else "output is not captured here")
        self.query_one(LogView).follow(file)
