"""The runs pane: every run under the runs root, and the checkpoints of the one under the cursor."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable, Input, Static
from textual.worker import Worker

from torchdeck.engine.errors import TorchdeckError

from ..messages import WatchRequested
from ..plain_text import printable
from ..process.worker_process import WorkerProcess
from ..run_choice import RunChoice
from ..words.figures import rough_duration
from ..words.metric_text import measured_scores, score_name
from ..words.run_lists import CheckpointRow, RunRow, cells_of, checkpoint_columns, run_columns
from ..words.run_text import ENDED_BADLY
from .run_actions import RunActions
from .run_tables import Row, RowTable

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.directory import RunSummary
    from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo

_LOOK_EVERY = 2.0
_FILTER_EXAMPLES = "part of a name, status=died, acc>0.9, lr<=0.01, model=resnet, age<2d"
_SEEN_AT_LEAST = 20
# At this width and above, settings are shown beside the results.
_SETTINGS_WIDTH = 150


class RunsPane(RunActions):
    """Runs above, checkpoints of the chosen run below. Polls the folder while it is shown."""

    DEFAULT_CSS = """
    RunsPane {
        layout: vertical;
        & > Static { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        & > .heading { color: $text-accent; text-style: bold; }
        & > Input { padding: 0 1; display: none; }
        & > Input.-open { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("t", "order", "Sort by the next column", show=False),
        Binding("T", "reverse", "Reverse sort", show=False),
        Binding("escape", "end_filter", "Clear filter", show=False),
    ]

    def __init__(self, worker: WorkerProcess, runs_root: Path, id: str | None = None) -> None:
        super().__init__(worker, runs_root, id=id)
        self._choice = RunChoice(runs_root)
        self._checkpoints: list[CheckpointInfo] = []
        self._cells: dict[str, tuple[RunRow | None, str, Row]] = {}
        self._shown_run: Path | None = None
        self._looking: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """Lay out two tables with a heading each, and a line for errors."""
        yield Static(id="where", classes="heading", markup=False)
        yield Input(placeholder=_FILTER_EXAMPLES, compact=True, id="run_filter")
        yield RowTable(run_columns(()), id="all_runs")
        yield Static("checkpoints", id="whose", classes="heading", markup=False)
        yield RowTable(checkpoint_columns("accuracy"), id="checkpoints")
        yield Static(id="run_hint", markup=False)

    def on_mount(self) -> None:
        """Poll while the pane is shown."""
        self.set_interval(_LOOK_EVERY, self._look_when_seen)

    def on_show(self, event: events.Show) -> None:
        """Read the folder at once when the pane is opened."""
        self._look_when_seen()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the columns to the width."""
        self._cells.clear()
        self._run_table.fit(event.size.width, self._run_rows)
        self._checkpoint_table.fit(event.size.width, self._checkpoint_rows)

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        row, runs = self._run_table.cursor_row, self._choice.runs
        return runs[row] if 0 <= row < len(runs) else None

    @property
    def chosen_checkpoint(self) -> CheckpointInfo | None:
        """The checkpoint under the cursor, if the cursor is among the checkpoints."""
        table = self._checkpoint_table
        is_there = table.has_focus and 0 <= table.cursor_row < len(self._checkpoints)
        return self._checkpoints[table.cursor_row] if is_there else None

    @property
    def _run_table(self) -> RowTable:
        return self.query_one("#all_runs", RowTable)

    @property
    def _checkpoint_table(self) -> RowTable:
        return self.query_one("#checkpoints", RowTable)

    def look_inside(self, path: Path) -> None:
        """Show what is inside a checkpoint."""
        self._open(path)

    # Keys and events

    def action_filter(self) -> None:
        """Let the user type a filter."""
        field = self.query_one("#run_filter", Input)
        field.add_class("-open")
        field.focus()

    def action_end_filter(self) -> None:
        """Clear the filter."""
        field = self.query_one("#run_filter", Input)
        field.remove_class("-open")
        field.value = ""
        if field.has_focus:
            self._run_table.focus()

    def action_order(self) -> None:
        """Sort by the next order."""
        self._choice.sort_by_next()
        self.look_again()

    def action_reverse(self) -> None:
        """Reverse the sort."""
        self._choice.reverse()
        self.look_again()

    @on(DataTable.RowSelected, "#all_runs")
    def _watch(self, message: DataTable.RowSelected) -> None:
        """Show the run in the train pane."""
        message.stop()
        if (run := self.chosen) is not None:
            self.post_message(WatchRequested(run.path))

    @on(DataTable.RowSelected, "#checkpoints")
    def _look_inside(self, message: DataTable.RowSelected) -> None:
        """Show what is inside the checkpoint."""
        message.stop()
        if (path := self._chosen_path()) is not None:
            self._open(path)

    @on(DataTable.RowHighlighted, "#all_runs")
    def _another_run(self, message: DataTable.RowHighlighted) -> None:
        message.stop()
        if self.chosen is not None and self.chosen.path != self._shown_run:
            self.look_again()

    @on(DataTable.HeaderSelected, "#all_runs")
    def _choose_order(self, message: DataTable.HeaderSelected) -> None:
        message.stop()
        if (order := message.column_key.value) is not None:
            self._choice.sort_by(order)
            self.look_again()

    @on(Input.Changed, "#run_filter")
    def _choose_runs(self, message: Input.Changed) -> None:
        message.stop()
        self._choice.filter_text = message.value.strip()
        self.look_again()

    @on(Input.Submitted, "#run_filter")
    def _leave_filter(self, message: Input.Submitted) -> None:
        message.stop()
        self._run_table.focus()

    # Reading

    def _look_when_seen(self) -> None:
        # On a slow disk, a read takes longer than the interval: don't restart it.
        if self.is_on_screen and (self._looking is None or self._looking.is_finished):
            self.look_again()

    def look_again(self) -> None:
        """Read the folder now."""
        self._looking = self._look()

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        try:
            self._show_runs(await asyncio.to_thread(self._choice.look))
            run = self.chosen
            self._show_checkpoints(run, *await asyncio.to_thread(_look_at, run))
            # Slow details come last, and only for the lines on the screen.
            with_settings = self.size.width >= _SETTINGS_WIDTH
            if await asyncio.to_thread(self._choice.look_closer, self._seen(), with_settings=with_settings):
                self._run_table.fill(self._run_rows())
        except (OSError, TorchdeckError) as error:
            self._say_where(f"{self._root}: {error}", "red")

    def _seen(self) -> list[RunSummary]:
        table = self._run_table
        first = int(table.scroll_y)
        # The table has no height before the first layout.
        return self._choice.runs[first : first + max(table.size.height, _SEEN_AT_LEAST)]

    # Display

    def _show_runs(self, runs: list[RunSummary]) -> None:
        chosen = self.chosen
        if bool(runs) != bool(self._choice.runs):
            # The offered keys depend on it.
            self.refresh_bindings()
        self._choice.runs = runs
        table = self._run_table
        if table.offer(run_columns(measured_scores(runs))):
            self._cells.clear()
            table.fit(self.size.width, self._run_rows)
        table.fill(self._run_rows())
        paths = [run.path for run in runs]
        if chosen is not None and chosen.path in paths and table.cursor_row != paths.index(chosen.path):
            table.move_cursor(row=paths.index(chosen.path))
        self._say_where(*self._choice.in_words())

    def _run_rows(self) -> list[Row]:
        columns, catalog, now = self._run_table.shown_columns, self._choice.catalog, time.time()
        rows = []
        for run in self._choice.runs:
            extent, settings = catalog.known_extent(run), catalog.known_settings(run)
            # Most lines are unchanged: for an unchanged run, the catalog returns the same objects.
            age = rough_duration(max(0.0, now - run.modified))
            row, shown_age, cells = self._cells.get(run.name, (None, "", ()))
            if row is None or not (row.is_made_from(run, extent, settings) and age == shown_age):
                row = RunRow(run, extent, settings, now)
                cells = cells_of(row, columns)
                self._cells[run.name] = (row, age, cells)
            rows.append(cells)
        return rows

    def _checkpoint_rows(self) -> list[Row]:
        columns, now = self._checkpoint_table.shown_columns, time.time()
        return [cells_of(CheckpointRow(checkpoint, now), columns) for checkpoint in self._checkpoints]

    def _show_checkpoints(self, run: RunSummary | None, checkpoints: list[CheckpointInfo], reason: str) -> None:
        self._checkpoints = checkpoints
        if run is not None and self._checkpoint_table.offer(checkpoint_columns(score_name(run.metrics, run.best))):
            self._checkpoint_table.fit(self.size.width, self._checkpoint_rows)
        self._checkpoint_table.fill(self._checkpoint_rows())
        path = run.path if run is not None else None
        if path != self._shown_run:
            self._shown_run = path
            self._checkpoint_table.move_cursor(row=0)
        words = "checkpoints" if run is None else f"checkpoints of {printable(run.name)}"
        _update(self.query_one("#whose", Static), Text(words if checkpoints else f"{words}: none yet"))
        hint = Text("")
        if run is not None and reason:
            hint = Text(f"{run.status}: {printable(reason)} · press r to resume it", style="red")
        _update(self.query_one("#run_hint", Static), hint)

    def _say_where(self, text: str, style: str = "") -> None:
        _update(self.query_one("#where", Static), Text(printable(text), style=style))


def _look_at(run: RunSummary | None) -> tuple[list[CheckpointInfo], str]:
    """Read a run's checkpoints and why it ended, if it ended badly. Call it in a thread."""
    from torchdeck.engine.runs.cause_of_death import why_died
    from torchdeck.engine.runs.saving.checkpoint_index import list_checkpoints

    if run is None:
        return [], ""
    reason = ""
    if run.status in ENDED_BADLY:
        reason = run.error.strip().splitlines()[0] if run.error.strip() else why_died(run.path)
    return list_checkpoints(run.path), reason


def _update(line: Static, text: Text) -> None:
    if line.content != text:
        line.update(text)
