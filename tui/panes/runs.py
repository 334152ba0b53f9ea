"""Every run under the runs root, the checkpoints of the one under the cursor, and what can be done with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import DataTable, Input, Static
from textual.worker import Worker

from engine.config import RunConfig
from engine.errors import ConfigError, TorchdeckError
from engine.user_path import user_path
from tui.aside import Aside
from tui.exporting import ask_and_export
from tui.messages import DraftReplaced, ResumeRequested, WatchRequested
from tui.run_lists import (
    CHECKPOINT_COLUMNS,
    RUN_COLUMNS,
    CheckpointRow,
    Column,
    RunRow,
    cells_of,
    columns_for,
    widths_for,
)
from tui.run_text import ENDED_BADLY
from tui.screens.ask import ConfirmScreen, PromptScreen
from tui.text import byte_size, rough_duration
from tui.widgets.plain_text import printable
from tui.working import Working

if TYPE_CHECKING:
    from engine.runs.checkpoint_index import CheckpointInfo
    from engine.runs.directory import RunSummary
    from engine.runs.run_catalog import RunCatalog
    from engine.runs.run_filter import RunFilter

_LOOK_EVERY = 2.0
_HINT = "Enter shows it · r resumes · Tab: its checkpoints · / filters · ? has all keys"
_FILTER_EXAMPLES = "part of a name, status=died, acc>0.9, lr<=0.01, model=resnet, age<2d"
_SEEN_AT_LEAST = 20
# From this width on, settings are shown beside the results.
_SETTINGS_WIDTH = 150


class RunsPane(Working, Widget, can_focus=True):
    """Runs above, checkpoints of the chosen run below. Looks at the folder while it is shown."""

    DEFAULT_CSS = """
    RunsPane {
        layout: vertical;
        & > DataTable { height: 1fr; overflow-x: hidden; background: transparent; }
        & > Static { height: 1; padding: 0 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        & > .heading { color: $text-accent; text-style: bold; }
        & > Input { padding: 0 1; display: none; }
        & > Input.-open { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "resume", "Resume"),
        Binding("i", "inside", "Inside"),
        Binding("f", "fork", "Fork"),
        Binding("F", "fork_weights", "Fork only the weights", show=False),
        Binding("e", "evaluate", "Evaluate"),
        Binding("v", "compare", "Compare"),
        Binding("w", "export", "Export"),
        Binding("W", "export_averaged", "Export the EMA weights", show=False),
        Binding("o", "open_file", "Open a checkpoint file by its path", show=False),
        Binding("k", "pin", "Pin or unpin the checkpoint", show=False),
        Binding("n", "rename", "Rename the run", show=False),
        Binding("d,delete", "delete", "Delete the run or the checkpoint", show=False),
        Binding("y", "copy_path", "Copy the path", show=False),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("t", "order", "Sort by the next column", show=False),
        Binding("T", "reverse", "Sort the other way round", show=False),
        Binding("escape", "end_filter", "Show all runs again", show=False),
    ]

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, aside: Aside, runs_root: Path, id: str | None = None) -> None:
        super().__init__(id=id)
        self._aside = aside
        self._root = runs_root
        self._compared: Path | None = None
        self._death: tuple[Path, str] | None = None
        self._catalog: RunCatalog | None = None
        self._all: list[RunSummary] = []
        self._summaries: list[RunSummary] = []
        self._checkpoints: list[CheckpointInfo] = []
        self._rows: dict[str, list[tuple[Text, ...]]] = {"all_runs": [], "checkpoints": []}
        self._cells: dict[str, tuple[RunRow | None, str, tuple[Text, ...]]] = {}
        self._filter_text = ""
        self._filter_error = ""
        self._order = "newest"
        self._is_reversed = False
        self._shown_run: Path | None = None
        self._looking: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        """Two tables with a line above each, and the keys."""
        yield Static(id="where", classes="heading", markup=False)
        yield Input(placeholder=_FILTER_EXAMPLES, compact=True, id="run_filter")
        yield DataTable(id="all_runs", cursor_type="row")
        yield Static("checkpoints", id="whose", classes="heading", markup=False)
        yield DataTable(id="checkpoints", cursor_type="row")
        yield Static(_HINT, id="run_hint", markup=False)

    def on_mount(self) -> None:
        """Look while the pane is shown."""
        self.set_interval(_LOOK_EVERY, self._look_when_seen)

    def on_show(self, event: events.Show) -> None:
        """Look at once when the pane is opened."""
        self._look_when_seen()

    def on_resize(self, event: events.Resize) -> None:
        """Columns fit the width."""
        self._cells.clear()
        self._set_columns("all_runs", columns_for(RUN_COLUMNS, event.size.width))
        self._set_columns("checkpoints", columns_for(CHECKPOINT_COLUMNS, event.size.width))

    def _set_columns(self, name: str, columns: Sequence[Column[Any]]) -> None:
        table = self.query_one(f"#{name}", DataTable)
        cursor = table.cursor_row
        table.clear(columns=True)
        for column, width in zip(columns, widths_for(columns, self.size.width), strict=True):
            table.add_column(column.title, width=width, key=column.order or None)
        self._rows[name] = []
        self._fill(name, self._run_rows() if name == "all_runs" else self._checkpoint_rows())
        table.move_cursor(row=cursor)

    def on_focus(self) -> None:
        """The runs take the keys."""
        self.query_one("#all_runs").focus()

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        row = self.query_one("#all_runs", DataTable).cursor_row
        return self._summaries[row] if 0 <= row < len(self._summaries) else None

    @property
    def chosen_checkpoint(self) -> CheckpointInfo | None:
        """The checkpoint under the cursor, while the cursor is in the checkpoints."""
        table = self.query_one("#checkpoints", DataTable)
        is_there = table.has_focus and 0 <= table.cursor_row < len(self._checkpoints)
        return self._checkpoints[table.cursor_row] if is_there else None

    # Keys

    def action_resume(self) -> None:
        """Go on from the checkpoint under the cursor, or from the newest when the cursor is in the runs."""
        if (run := self.chosen) is not None:
            self.post_message(ResumeRequested(run.path, self._chosen_path()))

    def action_filter(self) -> None:
        """Type which runs are shown."""
        field = self.query_one("#run_filter", Input)
        field.add_class("-open")
        field.focus()

    def action_end_filter(self) -> None:
        """Show every run again."""
        field = self.query_one("#run_filter", Input)
        field.remove_class("-open")
        field.value = ""
        if field.has_focus:
            self.query_one("#all_runs").focus()

    def action_order(self) -> None:
        """Sort by the next of the orders there are."""
        from engine.runs.run_order import ORDERS

        self._sort_by(ORDERS[(ORDERS.index(self._order) + 1) % len(ORDERS)])

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._is_reversed = not self._is_reversed
        self._look_again()

    def action_copy_path(self) -> None:
        """Put the path of the run or of the checkpoint into the terminal's clipboard, and show it."""
        run = self.chosen
        if run is not None:
            path = str((self._chosen_path() or run.path).absolute())
            self.app.copy_to_clipboard(path)
            self.app.notify(printable(path), title="copied", markup=False)

    @work(group="action", exclusive=True)
    async def action_inside(self) -> None:
        """Show what is inside the checkpoint."""
        if (path := await self._checkpoint_to_use()) is not None:
            self._open(path)

    @work(group="action", exclusive=True)
    async def action_open_file(self) -> None:
        """Ask for a file, and show what is inside."""
        explanation = "A checkpoint of any program: nothing of it is run."
        path = await self.app.push_screen_wait(PromptScreen("Which file?", explanation))
        if path:
            self._open(user_path(path))

    @work(group="action", exclusive=True)
    async def action_evaluate(self) -> None:
        """Measure the checkpoint on the test split."""
        if (path := await self._checkpoint_to_use()) is not None:
            from tui.screens.scores import ScoresScreen

            self.app.push_screen(ScoresScreen(path, self._aside))

    @work(group="action", exclusive=True)
    async def action_compare(self) -> None:
        """Choose the first of two checkpoints; with the second chosen, show them side by side."""
        path = await self._checkpoint_to_use()
        if path is None:
            return
        if self._compared is None or self._compared == path:
            self._compared = path
            self.app.notify(f"v on another run or checkpoint compares it with {path.name}", markup=False)
            return
        from tui.screens.compare import CompareScreen

        first, self._compared = self._compared, None
        self.app.push_screen(CompareScreen(first, path, self._aside))

    @work(group="action", exclusive=True)
    async def action_export(self) -> None:
        """Ask for a file, and write the weights or the model into it."""
        if (path := await self._checkpoint_to_use()) is not None:
            await ask_and_export(self.app, self._aside, path, averaged=False)

    @work(group="action", exclusive=True)
    async def action_export_averaged(self) -> None:
        """Likewise, with the averaged weights."""
        if (path := await self._checkpoint_to_use()) is not None:
            await ask_and_export(self.app, self._aside, path, averaged=True)

    @work(group="action", exclusive=True)
    async def action_fork(self) -> None:
        """Make the draft a run that goes on from the checkpoint's whole state."""
        await self._fork(weights_only=False)

    @work(group="action", exclusive=True)
    async def action_fork_weights(self) -> None:
        """Make the draft a run that begins with the checkpoint's weights."""
        await self._fork(weights_only=True)

    @work(group="action", exclusive=True)
    async def action_pin(self) -> None:
        """Keep the checkpoint under the cursor, or leave it to the run's rules again."""
        from engine.runs.pins import pin, pinned_by, unpin

        run, checkpoint = self.chosen, self.chosen_checkpoint
        if run is None or checkpoint is None:
            self._tell("choose a checkpoint to pin: Tab goes to the checkpoints")
            return
        change = unpin if checkpoint.is_pinned else pin
        await self._do(change, run.path / "checkpoints", pinned_by(checkpoint.file) or checkpoint.file)

    @work(group="action", exclusive=True)
    async def action_rename(self) -> None:
        """Ask for another name of the run."""
        from engine.runs.directory import given_name
        from engine.runs.renaming import rename_run

        run = self.chosen
        if run is None:
            return
        explanation = "Letters, digits, '.', '_' and '-'. Date and number behind the name stay."
        name = await self.app.push_screen_wait(
            PromptScreen(f"Another name for {run.name}", explanation, given_name(run.name))
        )
        if name:
            await self._do(rename_run, run.path, name)

    @work(group="action", exclusive=True)
    async def action_delete(self) -> None:
        """Ask, then delete the checkpoint or the run under the cursor."""
        from engine.runs.removal import delete_checkpoint, delete_run, plan_removal

        run, checkpoint = self.chosen, self.chosen_checkpoint
        if run is None:
            return
        if checkpoint is not None:
            words = f"{byte_size(checkpoint.bytes)} are freed. It can't be brought back."
            if await self.app.push_screen_wait(ConfirmScreen(f"Delete {checkpoint.file} of {run.name}?", words)):
                await self._do(delete_checkpoint, run.path, checkpoint.file)
            return
        try:
            plan = await asyncio.to_thread(plan_removal, run.path)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        words = f"{plan.files} files and {byte_size(plan.bytes)} are deleted. They can't be brought back."
        if plan.others:
            words += f"\nWhat torchdeck did not make stays: {', '.join(plan.others[:5])}"
        if await self.app.push_screen_wait(ConfirmScreen(f"Delete the run {run.name}?", words)):
            await self._do(delete_run, run.path)

    # What happens in the tables and the field

    @on(DataTable.RowSelected, "#all_runs")
    def _watch(self, message: DataTable.RowSelected) -> None:
        """Enter shows the run in the train pane."""
        message.stop()
        if (run := self.chosen) is not None:
            self.post_message(WatchRequested(run.path))

    @on(DataTable.RowSelected, "#checkpoints")
    def _look_inside(self, message: DataTable.RowSelected) -> None:
        """Enter shows what is inside the checkpoint."""
        message.stop()
        if (path := self._chosen_path()) is not None:
            self._open(path)

    @on(DataTable.RowHighlighted, "#all_runs")
    def _another_run(self, message: DataTable.RowHighlighted) -> None:
        message.stop()
        if self.chosen is not None and self.chosen.path != self._shown_run:
            self._look_again()

    @on(DataTable.HeaderSelected, "#all_runs")
    def _choose_order(self, message: DataTable.HeaderSelected) -> None:
        message.stop()
        if (order := message.column_key.value) is not None:
            self._sort_by(order)

    @on(Input.Changed, "#run_filter")
    def _choose_runs(self, message: Input.Changed) -> None:
        message.stop()
        self._filter_text = message.value.strip()
        self._look_again()

    @on(Input.Submitted, "#run_filter")
    def _leave_filter(self, message: Input.Submitted) -> None:
        message.stop()
        self.query_one("#all_runs").focus()

    def _sort_by(self, order: str) -> None:
        """Sort by this; a second time, the other way round."""
        self._is_reversed = not self._is_reversed if order == self._order else False
        self._order = order
        self._look_again()

    # Looking

    def _look_when_seen(self) -> None:
        # On a slow disk a look takes longer than the time between two: it is not begun anew.
        if self.is_on_screen and (self._looking is None or self._looking.is_finished):
            self._look_again()

    def _look_again(self) -> None:
        self._looking = self._look()

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        from engine.runs.checkpoint_index import list_checkpoints
        from engine.runs.run_catalog import RunCatalog

        if self._catalog is None:
            self._catalog = RunCatalog(self._root)
        try:
            summaries = await asyncio.to_thread(self._choose, self._catalog)
            self._show_runs(summaries)
            run = self.chosen
            checkpoints = await asyncio.to_thread(list_checkpoints, run.path) if run is not None else []
            self._show_checkpoints(run, checkpoints)
            # What takes longer comes after what is needed first, and only for the lines on the screen.
            if await asyncio.to_thread(self._look_closer, self._catalog, self._seen()):
                self._fill("all_runs", self._run_rows())
        except (OSError, TorchdeckError) as error:
            self._say_where(f"{self._root}: {error}", "red")

    def _choose(self, catalog: RunCatalog) -> list[RunSummary]:
        """In a thread: all runs, and of them those that are shown, in order."""
        from engine.runs.run_filter import parse_filter
        from engine.runs.run_order import in_order

        self._all = catalog.look()
        chosen: RunFilter | None = None
        settings: list[dict[str, Any]] = []
        try:
            chosen = parse_filter(self._filter_text)
            settings = [catalog.settings(run) if chosen.terms else {} for run in self._all]
            chosen.check_keys(self._all, settings)
            self._filter_error = ""
        except ConfigError as error:
            self._filter_error = str(error)
        if chosen is None or self._filter_error:
            # Half a filter is being typed: what was shown stays.
            names = {run.name for run in self._summaries}
            runs = [run for run in self._all if run.name in names]
        else:
            runs = [run for run, own in zip(self._all, settings, strict=True) if chosen.matches(run, own)]
        return in_order(runs, self._order, is_reversed=self._is_reversed)

    def _seen(self) -> list[RunSummary]:
        table = self.query_one("#all_runs", DataTable)
        first = int(table.scroll_y)
        # Before the first layout it has no height.
        return self._summaries[first : first + max(table.size.height, _SEEN_AT_LEAST)]

    def _look_closer(self, catalog: RunCatalog, runs: Sequence[RunSummary]) -> bool:
        """In a thread: what the catalog is to know of these runs. Whether anything of it is new."""
        is_new = False
        for run in runs:
            known = catalog.known_extent(run)
            is_new = catalog.extent(run) is not known or is_new
            if self.size.width >= _SETTINGS_WIDTH:
                settings = catalog.known_settings(run)
                is_new = catalog.settings(run) is not settings or is_new
        return is_new

    # Showing

    def _show_runs(self, summaries: list[RunSummary]) -> None:
        chosen = self.chosen
        self._summaries = summaries
        table = self.query_one("#all_runs", DataTable)
        self._fill("all_runs", self._run_rows())
        paths = [summary.path for summary in summaries]
        if chosen is not None and chosen.path in paths and table.cursor_row != paths.index(chosen.path):
            table.move_cursor(row=paths.index(chosen.path))
        self._say_where(*self._where())

    def _where(self) -> tuple[str, str]:
        if self._filter_error:
            return self._filter_error, "yellow"
        count = len(self._all)
        if not count:
            return f"no runs in {self._root} yet: s starts one", ""
        shown = f"{len(self._summaries)} of the " if len(self._summaries) != count else ""
        words = f"{shown}{count} run{'s' * (count != 1)}"
        if self._order != "newest" or self._is_reversed:
            words += f" by {self._order}{', the other way round,' * self._is_reversed}"
        return f"{words} in {self._root}{f' · {self._filter_text}' * bool(self._filter_text)}", ""

    def _run_rows(self) -> list[tuple[Text, ...]]:
        columns, now = columns_for(RUN_COLUMNS, self.size.width), time.time()
        catalog = self._catalog
        if catalog is None:
            return []
        rows = []
        for run in self._summaries:
            extent, settings = catalog.known_extent(run), catalog.known_settings(run)
            # Most lines are what they were: of a run that is unchanged the catalog gives the same objects.
            age = rough_duration(max(0.0, now - run.modified))
            row, shown_age, cells = self._cells.get(run.name, (None, "", ()))
            if row is None or not (row.is_made_from(run, extent, settings) and age == shown_age):
                row = RunRow(run, extent, settings, now)
                cells = cells_of(row, columns)
                self._cells[run.name] = (row, age, cells)
            rows.append(cells)
        return rows

    def _checkpoint_rows(self) -> list[tuple[Text, ...]]:
        columns, now = columns_for(CHECKPOINT_COLUMNS, self.size.width), time.time()
        return [cells_of(CheckpointRow(checkpoint, now), columns) for checkpoint in self._checkpoints]

    def _show_checkpoints(self, run: RunSummary | None, checkpoints: list[CheckpointInfo]) -> None:
        self._checkpoints = checkpoints
        self._fill("checkpoints", self._checkpoint_rows())
        path = run.path if run is not None else None
        if path != self._shown_run:
            self._shown_run = path
            self.query_one("#checkpoints", DataTable).move_cursor(row=0)
        words = "checkpoints" if run is None else f"checkpoints of {printable(run.name)}"
        _update(self.query_one("#whose", Static), Text(words if checkpoints else f"{words}: none yet"))
        hint = Text(_HINT)
        if run is not None and run.status in ENDED_BADLY:
            reason = run.error.strip().splitlines()[0] if run.error.strip() else self._why_died(run)
            hint = Text(f"{run.status}: {printable(reason)} · r resumes it", style="red")
        _update(self.query_one("#run_hint", Static), hint)

    def _why_died(self, run: RunSummary) -> str:
        """Read once for a run, since nobody writes to it any more."""
        from engine.runs.death import why_died

        if self._death is None or self._death[0] != run.path:
            self._death = (run.path, why_died(run.path))
        return self._death[1]

    def _say_where(self, text: str, style: str = "") -> None:
        _update(self.query_one("#where", Static), Text(printable(text), style=style))

    def _fill(self, name: str, rows: list[tuple[Text, ...]]) -> None:
        """Make these a table's rows; only cells that differ are touched, so nothing is sent when nothing changed."""
        table = self.query_one(f"#{name}", DataTable)
        before = self._rows[name]
        self._rows[name] = rows
        if len(before) != len(rows):
            cursor = table.cursor_row
            table.clear()
            table.add_rows(rows)
            table.move_cursor(row=min(cursor, len(rows) - 1))
            return
        for index, (old, row) in enumerate(zip(before, rows, strict=True)):
            if old is row or old == row:
                continue
            for column, (cell_before, cell) in enumerate(zip(old, row, strict=True)):
                if cell_before != cell:
                    table.update_cell_at(Coordinate(index, column), cell)

    # Doing

    def _open(self, path: Path) -> None:
        from tui.screens.checkpoint import CheckpointScreen

        self.app.push_screen(CheckpointScreen(path, self._aside, self.draft or RunConfig()))

    async def _checkpoint_to_use(self) -> Path | None:
        """The checkpoint under the cursor; with the cursor in the runs, the run's best, else its newest."""
        from engine.runs.references import find_checkpoint

        run = self.chosen
        if run is None:
            return None
        if (path := self._chosen_path()) is not None:
            return path
        try:
            return (await asyncio.to_thread(find_checkpoint, self._root, str(run.path))).path
        except TorchdeckError as error:
            self._tell(str(error))
            return None

    async def _fork(self, *, weights_only: bool) -> None:
        from engine.fork import fork_config

        path = await self._checkpoint_to_use()
        if path is None:
            return
        try:
            config = await asyncio.to_thread(fork_config, path, weights_only=weights_only)
        except TorchdeckError as error:
            self._tell(str(error))
            return
        self.post_message(DraftReplaced(config))
        what = "begins with the weights" if weights_only else "goes on from the state"
        self.app.notify(f"the draft {what} in {path.name}: 3 changes its settings, s starts it", markup=False)

    def _chosen_path(self) -> Path | None:
        run, checkpoint = self.chosen, self.chosen_checkpoint
        return run.path / "checkpoints" / checkpoint.file if run is not None and checkpoint is not None else None

    async def _do(self, change: Any, *arguments: Any) -> None:
        """Change something on the disk in a thread, and look at what became of it."""
        try:
            await asyncio.to_thread(change, *arguments)
        except TorchdeckError as error:
            self._tell(str(error))
        self._look_again()

    def _tell(self, text: str) -> None:
        self.app.notify(printable(text), severity="warning", timeout=8, markup=False)


def _update(line: Static, text: Text) -> None:
    if line.content != text:
        line.update(text)
