"""Every run under the runs root, and the checkpoints of the one under the cursor."""

from __future__ import annotations

import time
from dataclasses import astuple
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget
from textual.widgets import DataTable, Static

from engine.runs.checkpoint_index import CheckpointInfo, list_checkpoints
from engine.runs.directory import RunSummary, list_runs
from tui.messages import ResumeRequested, WatchRequested
from tui.text import byte_size, duration, figure, percent
from tui.widgets.plain_text import printable

_LOOK_EVERY = 2.0
_RUN_COLUMNS = (("run", 34), ("status", 9), ("epoch", 9), ("accuracy", 8), ("loss", 8))
_CHECKPOINT_COLUMNS = (
    ("checkpoint", 22),
    ("epoch", 6),
    ("step", 9),
    ("accuracy", 8),
    ("loss", 8),
    ("size", 8),
    ("", 9),
)


class RunsPane(Widget, can_focus=True):
    """Runs above, checkpoints of the chosen run below."""

    DEFAULT_CSS = """
    RunsPane {
        layout: vertical;
        & > DataTable { height: 1fr; }
        & > #checkpoints { height: 1fr; }
        & > Static { height: 1; padding: 0 1; color: $text-muted; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "watch", "Show", priority=True),
        Binding("r", "resume", "Resume"),
    ]

    def __init__(self, runs_root: Path, id: str | None = None) -> None:
        super().__init__(id=id)
        self._root = runs_root
        self._summaries: list[RunSummary] = []
        self._checkpoints: list[CheckpointInfo] = []
        self._shown: tuple[object, ...] = ()
        self._shown_checkpoints: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Two tables with a line above each."""
        yield Static(id="where", markup=False)
        yield DataTable(id="runs", cursor_type="row", zebra_stripes=False)
        yield Static("checkpoints: r resumes the one under the cursor", id="hint", markup=False)
        yield DataTable(id="checkpoints", cursor_type="row", zebra_stripes=False)

    def on_mount(self) -> None:
        """Name the columns; look while the pane is shown."""
        for name, columns in (("runs", _RUN_COLUMNS), ("checkpoints", _CHECKPOINT_COLUMNS)):
            table = self.query_one(f"#{name}", DataTable)
            for title, width in columns:
                table.add_column(title, width=width)
        self.set_interval(_LOOK_EVERY, self._look_when_seen)

    def on_show(self) -> None:
        """Look at once when the pane is opened."""
        self._look_when_seen()

    def on_focus(self) -> None:
        """The runs take the keys."""
        self.query_one("#runs").focus()

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        row = self.query_one("#runs", DataTable).cursor_row
        return self._summaries[row] if 0 <= row < len(self._summaries) else None

    def action_watch(self) -> None:
        """Show the run in the train pane."""
        if (run := self.chosen) is not None:
            self.post_message(WatchRequested(run.path))

    def action_resume(self) -> None:
        """Go on from the checkpoint under the cursor, or from the newest when the cursor is in the runs."""
        run = self.chosen
        if run is None:
            return
        table = self.query_one("#checkpoints", DataTable)
        checkpoint = None
        if table.has_focus and 0 <= table.cursor_row < len(self._checkpoints):
            checkpoint = run.path / "checkpoints" / self._checkpoints[table.cursor_row].file
        self.post_message(ResumeRequested(run.path, checkpoint))

    @on(DataTable.RowHighlighted, "#runs")
    def _another_run(self, message: DataTable.RowHighlighted) -> None:
        message.stop()
        self._show_checkpoints()

    def _look_when_seen(self) -> None:
        if self.is_on_screen:
            self._look()

    @work(thread=True, exclusive=True, group="look", exit_on_error=False)
    def _look(self) -> None:
        summaries = list_runs(self._root)
        self.app.call_from_thread(self._show, summaries)

    def _show(self, summaries: list[RunSummary]) -> None:
        shown = tuple(map(run_row, summaries))
        if shown != self._shown or not summaries:
            chosen = self.chosen
            self._summaries, self._shown = summaries, shown
            table = self.query_one("#runs", DataTable)
            table.clear()
            for row in shown:
                table.add_row(*map(Text, row))
            paths = [summary.path for summary in summaries]
            if chosen is not None and chosen.path in paths:
                table.move_cursor(row=paths.index(chosen.path))
            words = (
                f"{len(summaries)} runs in {self._root}" if summaries else f"no runs in {self._root} yet: s starts one"
            )
            self.query_one("#where", Static).update(printable(words))
        self._show_checkpoints()

    def _show_checkpoints(self) -> None:
        run = self.chosen
        checkpoints = list_checkpoints(run.path) if run is not None else []
        shown = (run.path if run else None, *(astuple(checkpoint)[:3] for checkpoint in checkpoints))
        if shown == self._shown_checkpoints:
            return
        self._shown_checkpoints, self._checkpoints = shown, checkpoints
        table = self.query_one("#checkpoints", DataTable)
        table.clear()
        for checkpoint in checkpoints:
            table.add_row(*map(Text, checkpoint_row(checkpoint)))


def run_row(run: RunSummary) -> tuple[str, ...]:
    """A run's cells."""
    epochs = f"{run.epoch}/{run.epochs}" if run.epochs else "–"
    metrics = run.metrics
    return (printable(run.name), run.status, epochs, percent(metrics.get("accuracy")), figure(metrics.get("loss")))


def checkpoint_row(checkpoint: CheckpointInfo) -> tuple[str, ...]:
    """A checkpoint's cells."""
    marks = [name for name, holds in (("best", checkpoint.is_best), ("last", checkpoint.is_last)) if holds]
    age = duration(max(0.0, time.time() - checkpoint.modified))
    return (
        printable(checkpoint.file),
        str(checkpoint.epoch),
        f"{checkpoint.step:,}",
        percent(checkpoint.metrics.get("accuracy")),
        figure(checkpoint.metrics.get("loss")),
        byte_size(checkpoint.bytes),
        " ".join(marks) or age,
    )
