"""Every run under the runs root, and the checkpoints of the one under the cursor."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widget import Widget
from textual.widgets import DataTable, Static
from textual.worker import Worker

from engine.errors import TorchdeckError
from tui.messages import ResumeRequested, WatchRequested
from tui.run_lists import CHECKPOINT_COLUMNS, RUN_COLUMNS, checkpoint_row, run_row, widths_for
from tui.widgets.plain_text import printable

if TYPE_CHECKING:
    from engine.runs.checkpoint_index import CheckpointInfo
    from engine.runs.directory import RunSummary

_LOOK_EVERY = 2.0
_HINT = "Enter shows a run · r resumes it, or below from the chosen checkpoint"


class RunsPane(Widget, can_focus=True):
    """Runs above, checkpoints of the chosen run below. Looks at the folder while it is shown."""

    DEFAULT_CSS = """
    RunsPane {
        layout: vertical;
        & > DataTable { height: 1fr; overflow-x: hidden; background: transparent; }
        & > Static { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        & > .heading { color: $text-accent; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume"),
    ]

    def __init__(self, runs_root: Path, id: str | None = None) -> None:
        super().__init__(id=id)
        self._root = runs_root
        self._summaries: list[RunSummary] = []
        self._checkpoints: list[CheckpointInfo] = []
        self._shown_run: Path | None = None
        self._looking: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """Two tables with a line above each, and the keys."""
        yield Static(id="where", classes="heading", markup=False)
        yield DataTable(id="all_runs", cursor_type="row")
        yield Static("checkpoints", id="whose", classes="heading", markup=False)
        yield DataTable(id="checkpoints", cursor_type="row")
        yield Static(_HINT, markup=False)

    def on_mount(self) -> None:
        """Look while the pane is shown."""
        self.set_interval(_LOOK_EVERY, self._look_when_seen)

    def on_show(self, event: events.Show) -> None:
        """Look at once when the pane is opened."""
        self._look_when_seen()

    def on_resize(self, event: events.Resize) -> None:
        """Columns fit the width."""
        for name, columns in (("all_runs", RUN_COLUMNS), ("checkpoints", CHECKPOINT_COLUMNS)):
            table = self.query_one(f"#{name}", DataTable)
            rows = [table.get_row_at(index) for index in range(table.row_count)]
            cursor = table.cursor_row
            table.clear(columns=True)
            for column, width in zip(columns, widths_for(columns, event.size.width), strict=True):
                table.add_column(column.title, width=width)
            table.add_rows(rows)
            table.move_cursor(row=cursor)

    def on_focus(self) -> None:
        """The runs take the keys."""
        self.query_one("#all_runs").focus()

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        row = self.query_one("#all_runs", DataTable).cursor_row
        return self._summaries[row] if 0 <= row < len(self._summaries) else None

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

    @on(DataTable.RowSelected)
    def _watch(self, message: DataTable.RowSelected) -> None:
        """Enter in either table shows the run in the train pane."""
        message.stop()
        if (run := self.chosen) is not None:
            self.post_message(WatchRequested(run.path))

    @on(DataTable.RowHighlighted, "#all_runs")
    def _another_run(self, message: DataTable.RowHighlighted) -> None:
        message.stop()
        if self.chosen is not None and self.chosen.path != self._shown_run:
            self._looking = self._look()

    def _look_when_seen(self) -> None:
        # On a slow disk a look takes longer than the time between two: it is not begun anew.
        if self.is_on_screen and (self._looking is None or self._looking.is_finished):
            self._looking = self._look()

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        from engine.runs.checkpoint_index import list_checkpoints
        from engine.runs.directory import list_runs

        try:
            summaries = await asyncio.to_thread(list_runs, self._root)
            self._show_runs(summaries)
            run = self.chosen
            checkpoints = await asyncio.to_thread(list_checkpoints, run.path) if run is not None else []
        except (OSError, TorchdeckError) as error:
            self._say_where(f"{self._root}: {error}", "red")
            return
        self._show_checkpoints(run, checkpoints)

    def _show_runs(self, summaries: list[RunSummary]) -> None:
        chosen = self.chosen
        self._summaries = summaries
        table = self.query_one("#all_runs", DataTable)
        _fill(table, [run_row(run) for run in summaries])
        paths = [summary.path for summary in summaries]
        if chosen is not None and chosen.path in paths and table.cursor_row != paths.index(chosen.path):
            table.move_cursor(row=paths.index(chosen.path))
        count = f"{len(summaries)} run{'s' * (len(summaries) != 1)} in {self._root}"
        self._say_where(count if summaries else f"no runs in {self._root} yet: s starts one")

    def _show_checkpoints(self, run: RunSummary | None, checkpoints: list[CheckpointInfo]) -> None:
        self._checkpoints = checkpoints
        table = self.query_one("#checkpoints", DataTable)
        now = time.time()
        _fill(table, [checkpoint_row(checkpoint, now) for checkpoint in checkpoints])
        path = run.path if run is not None else None
        if path != self._shown_run:
            self._shown_run = path
            table.move_cursor(row=0)
        words = "checkpoints" if run is None else f"checkpoints of {printable(run.name)}"
        _update(self.query_one("#whose", Static), Text(words if checkpoints else f"{words}: none yet"))

    def _say_where(self, text: str, style: str = "") -> None:
        _update(self.query_one("#where", Static), Text(printable(text), style=style))


def _fill(table: DataTable[Text], rows: list[tuple[Text, ...]]) -> None:
    """Make these the table's rows; only cells that differ are touched, so nothing is sent when nothing changed."""
    if table.row_count != len(rows):
        cursor = table.cursor_row
        table.clear()
        table.add_rows(rows)
        table.move_cursor(row=min(cursor, len(rows) - 1))
        return
    for index, row in enumerate(rows):
        for column, cell in enumerate(row):
            place = Coordinate(index, column)
            if table.get_cell_at(place) != cell:
                table.update_cell_at(place, cell)


def _update(line: Static, text: Text) -> None:
    if line.content != text:
        line.update(text)
