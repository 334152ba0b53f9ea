"""The log pane: output of user code, C++ and workers, and errors of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import Log, Static

from ..plain_text import printable
from ..widgets.log_view import LogView


class LogPane(Widget, can_focus=True):
    """Follows one file at a time: the studio's log, or the `engine.log` of the watched run.

    The studio's log also has the output of the worker process, which inspects models and opens data.
    """

    DEFAULT_CSS = """
    LogPane { layout: vertical; }
    LogPane > #file { height: 1; color: $text-muted; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "other", "Switch log")]

    def __init__(self, file: Path | None, id: str | None = None) -> None:
        super().__init__(id=id)
        self._own = file
        self._of_run: Path | None = None
        self._shows_own = True

    def compose(self) -> ComposeResult:
        """Lay out the file's name above its lines."""
        yield Static(id="file", markup=False)
        yield LogView()

    def on_mount(self) -> None:
        """Show the studio's log."""
        self._show()

    def on_focus(self) -> None:
        """Focus the lines."""
        self.query_one(Log).focus()

    def follow_run(self, file: Path | None) -> None:
        """Show a run's log from now on; None goes back to the studio's log."""
        self._of_run, self._shows_own = file, file is None
        self._show()

    def action_other(self) -> None:
        """Switch between the studio's log and the run's."""
        if self._of_run is not None:
            self._shows_own = not self._shows_own
            self._show()

    def _show(self) -> None:
        file = self._own if self._shows_own else self._of_run
        if file is None:
            title = "Output is not captured here"
        elif self._shows_own:
            title = "Studio output (outside runs)"
        else:
            title = f"{file}   (o switches to the studio's log)"
        self.query_one("#file", Static).update(printable(title))
        self.query_one(LogView).follow(file)
