"""The log pane: output of user code, C++ and workers, and errors of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from torchdeck.engine.run_files import LOG_FILE

from ..plain_text import printable
from ..watched_run import WatchedRun
from ..widgets.log_view import LogView
from .pane import Pane


class LogPane(Pane):
    """Follows one file at a time: the studio's log, or the `engine.log` of the watched run.

    The studio's log also has the output of the worker process, which inspects models and opens data.
    """

    DEFAULT_CSS = """
    LogPane { layout: vertical; }
    LogPane > #file { height: 1; color: $text-muted; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("o", "other", "Switch log")]

    def __init__(self, file: Path | None, run: WatchedRun, id: str | None = None) -> None:
        super().__init__(id=id)
        self._run = run
        self._own = file
        self._of_run: Path | None = None
        self._shows_own = True

    def compose(self) -> ComposeResult:
        """Lay out the file's name above its lines."""
        yield Static(id="file", markup=False)
        yield LogView()

    def on_mount(self) -> None:
        """Show the run's log, or the studio's own."""
        self._show()
        self.run_changed()

    def run_changed(self) -> None:
        """Show the log of another run from now on; without a run, the studio's own."""
        path = self._run.path
        file = path / LOG_FILE if path is not None else None
        if file != self._of_run:
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
