"""The runs pane: every run of a folder, and whatever belongs to the one under the cursor and to the marked ones."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from textual import events, on, work
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.timer import Timer
from textual.worker import Worker

from torchdeck.engine.errors import TorchdeckError

from ...drawing import bar, name, prose
from ...keys.bindings import bindings
from ...messages import WatchRequested
from ...process.worker_process import WorkerProcess
from ...runs.choice import NEWEST, RunChoice
from ...runs.curves import MOST_CURVES, RunCurves
from ...runs.marks import RunMarks
from ...stage import Stage
from ...widgets.filter_field import FilterField, ask_filter
from ...widgets.panel import nothing_here
from ...widgets.rows import Rows
from ...words.runs.run_lists import COLUMN_NAMES, DEFAULT_COLUMNS, RunRow, known_columns
from .actions import RunActions
from .checkpoints import CheckpointsLook, CheckpointTable, look_at_checkpoints
from .side import RunSide
from .table import RunTable

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.directory import RunSummary
    from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo

_LOOK_EVERY, _SAY_PROGRESS_EVERY = 2.0, 0.5
# Looking takes no more than a tenth of the time.
_RESTS = 9.0
# A cursor that moves on does not stop at every run.
_SETTLES_AFTER = 0.2
_FILTER_EXAMPLES = "part of a name, tag=baseline, status=died, acc>0.9, lr<=0.01, age<2d"
_SEEN_AT_LEAST = 20
_ROOT_CELLS = 30

T = TypeVar("T")


class RunsPane(RunActions):
    """Reads the folder again and again while it is shown, in a thread of its own."""

    DEFAULT_CSS = Path(__file__).with_suffix(".tcss").read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = bindings("runs")
    VIEWS: ClassVar[tuple[str, ...]] = ("checkpoints", "curves", "differences")

    def __init__(self, worker: WorkerProcess, runs_root: Path, id: str | None = None) -> None:
        super().__init__(worker, id=id)
        self._home = runs_root
        self._choice = RunChoice(runs_root)
        self._marks = RunMarks()
        self._marked_checkpoints: list[Path] = []
        self._curves = RunCurves()
        self._checkpoints_look = CheckpointsLook(None, (), "")
        self._is_read = False
        self._rests_until = 0.0
        self._looking: Worker[None] | None = None
        self._settling: Timer | None = None
        # One thread for all reading: a look that was begun is not overtaken by the next.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="runs")

    def compose(self) -> ComposeResult:
        """Lay out the tables, and the curves with what differs."""
        with Vertical(id="parts"):
            yield RunTable("Runs", id="all_runs", classes="-lead")
            yield CheckpointTable("Checkpoints", id="checkpoints")
            yield RunSide(id="side")

    def on_mount(self) -> None:
        """Remember what the user chose, and poll while the pane is shown."""
        remembered = cast(Stage, self.app).preferences.panes.get("runs", {})
        self._table.columns = known_columns(remembered.get("columns"))
        self._side.recall(remembered)
        self._table.show(0, self._row, empty=self._reading, position=lambda at: "")
        self.set_interval(_LOOK_EVERY, self._poll)
        self.set_interval(_SAY_PROGRESS_EVERY, self._say_progress)

    def on_unmount(self) -> None:
        """Leave what is unread."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def on_show(self, event: events.Show) -> None:
        """Read the folder at once when the pane is opened."""
        self._look_when_seen()

    def on_resize(self, event: events.Resize) -> None:
        """Show what the new size has room for."""
        self.call_after_refresh(self._show_differences)

    # What is under the cursor

    @property
    def root(self) -> Path:
        """The folder of the runs that are listed."""
        return self._choice.root

    @property
    def chosen(self) -> RunSummary | None:
        """The run under the cursor."""
        at, runs = self._table.cursor, self._choice.runs
        return runs[at] if 0 <= at < len(runs) else None

    @property
    def chosen_checkpoint(self) -> CheckpointInfo | None:
        """The checkpoint under the cursor, if the cursor is among the checkpoints."""
        return self._checkpoint_table.chosen

    @property
    def compared(self) -> list[Path]:
        """What is marked to be compared."""
        return self._marked_checkpoints or self._marks.runs

    @property
    def _table(self) -> RunTable:
        return self.query_one("#all_runs", RunTable)

    @property
    def _side(self) -> RunSide:
        return self.query_one("#side", RunSide)

    @property
    def _checkpoint_table(self) -> CheckpointTable:
        return self.query_one("#checkpoints", CheckpointTable)

    def offers(self, action: str) -> bool:
        """Offer actions on a run only while there is one."""
        if action in ("open_path", "queue_draft"):
            return True
        if action == "pin":
            return self.chosen_checkpoint is not None
        return self.chosen is not None

    # Keys and events

    def _mark(self) -> None:
        """Mark what is under the cursor, or unmark it."""
        if self._checkpoint_table.has_focus:
            if (path := self._chosen_path()) is not None:
                marked = self._marked_checkpoints
                self._marked_checkpoints = [each for each in marked if each != path] + [path] * (path not in marked)
                self._show_checkpoints()
        elif (run := self.chosen) is not None:
            self._marks.toggle(run.path)
            self._marks_changed()

    def action_step_back(self) -> None:
        """Clear the filter; without one, unmark all."""
        if self._marked_checkpoints and self._checkpoint_table.has_focus:
            self._marked_checkpoints = []
            self._show_checkpoints()
        elif self._choice.filter_text:
            self._filter("")
        elif self._marks:
            self._marks.clear()
            self._marks_changed()
        else:
            raise SkipAction

    async def answer(self, what: str) -> None:
        """Do what a key of one of the tables means."""
        if what == "watch":
            self._watch()
        elif what == "mark":
            self._mark()
        elif what == "mark_all":
            self._marks.toggle_all(run.path for run in self._choice.runs)
            self._marks_changed()
        elif what == "filter":
            await ask_filter(self._table, self._choice.filter_text, _FILTER_EXAMPLES)
        elif what == "sort":
            self._sort_by(self._table.column or self._first_order())
        elif what == "edit":
            self.action_edit()
        elif what == "columns":
            self._choose_columns()
        elif what == "by_seed":
            self._choice.is_by_seed = self._table.is_by_seed = not self._choice.is_by_seed
            self.look_again()
        elif what == "inspect":
            self.action_inspect()

    def _first_order(self) -> str:
        """What the first press of the key sorts by: the present order, or else the age."""
        return self._choice.order if self._choice.order != NEWEST else "age"

    def _sort_by(self, column: str) -> None:
        self._table.column = column
        self._choice.sort_by(column)
        self.look_again()

    @on(Rows.HeadClicked, "#all_runs")
    def _choose_order(self, message: Rows.HeadClicked) -> None:
        message.stop()
        if column := self._table.column_at(message.x):
            self._sort_by(column)

    @on(Rows.Moved, "#all_runs")
    def _another_run(self, message: Rows.Moved) -> None:
        message.stop()
        if self._settling is None:
            self._settling = self.set_timer(_SETTLES_AFTER, self._settle)
        else:
            self._settling.reset()

    @on(FilterField.Typed, "#all_runs")
    def _filter_typed(self, message: FilterField.Typed) -> None:
        message.stop()
        self._filter(message.text)

    def _filter(self, text: str) -> None:
        self._choice.filter_text = text
        self.look_again()

    def _watch(self) -> None:
        """Show the run in the train pane."""
        if (run := self.chosen) is not None:
            self.post_message(WatchRequested(run.path))

    @work(group="columns", exclusive=True)
    async def _choose_columns(self) -> None:
        from ...screens.choose_columns import ChooseColumnsScreen

        screen = ChooseColumnsScreen(COLUMN_NAMES, self._table.columns, DEFAULT_COLUMNS)
        chosen = await self.app.push_screen_wait(screen)
        if chosen is not None:
            self._table.columns = chosen
            cast(Stage, self.app).remember(pane="runs", columns=list(chosen))
            self._show_runs(self._choice.runs)

    def renamed(self, before: Path, after: Path) -> None:
        """A run has another directory now."""
        self._marks.rename(before, after)

    def show_folder(self, root: Path) -> None:
        """List the runs of another folder, those of other trainers below it too."""
        self._choice = RunChoice(root, is_wide=True)
        self._marks.clear()
        self._is_read = False
        self._table.show(0, self._row, empty=self._reading, position=lambda at: "")
        self.look_again()

    # Reading

    def _look_when_seen(self) -> None:
        # On a slow disk, a read takes longer than the interval: don't restart it.
        if self.is_on_screen and (self._looking is None or self._looking.is_finished):
            self.look_again()

    def _poll(self) -> None:
        # With thousands of runs, a look takes long: rest before the next.
        if time.monotonic() >= self._rests_until:
            self._look_when_seen()

    def look_again(self) -> None:
        """Read the folder now."""
        self._looking = self._look()

    async def _in_thread(self, read: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, read, *arguments)

    @work(exclusive=True, group="look")
    async def _look(self) -> None:
        try:
            choice, begun = self._choice, time.monotonic()
            self._show_runs(await self._in_thread(choice.look))
            now = time.monotonic()
            self._rests_until = now + _RESTS * (now - begun)
            await self._read_chosen()
            # Slow details come last, and only for the lines on the screen.
            if await self._in_thread(choice.look_closer, self._seen()):
                self._show_runs(self._choice.runs)
                self._show_differences()
        except (OSError, TorchdeckError) as error:
            self._show_error(str(error))

    @on(RunSide.Changed)
    def _other_curves(self, message: RunSide.Changed) -> None:
        message.stop()
        self._look_at_chosen()

    def _settle(self) -> None:
        self._settling = None
        self._look_at_chosen()

    @work(exclusive=True, group="chosen")
    async def _look_at_chosen(self) -> None:
        await self._read_chosen()
        if await self._in_thread(self._choice.look_closer, self._seen()):
            self._table.refresh_rows()
            self._show_differences()

    async def _read_chosen(self) -> None:
        """Read the run under the cursor, and the curves of the marked ones."""
        self._checkpoints_look = await self._in_thread(look_at_checkpoints, self.chosen)
        self._show_checkpoints()
        while True:
            side = self._side
            drawn, groups = self._drawn_runs(), self._choice.groups
            companions = {run: [each.path for each in groups[run].runs] for run in drawn if run in groups}
            look = await self._in_thread(self._curves.look, drawn, side.metric, side.axis, companions)
            side.show_curves(look, self._marks)
            self._show_differences()
            if not look.has_more:
                return

    def _drawn_runs(self) -> list[Path]:
        """The marked runs, or else the one under the cursor."""
        return self._marks.runs or ([self.chosen.path] if self.chosen is not None else [])

    def _seen(self) -> list[RunSummary]:
        """The runs on the screen and the marked ones."""
        table, runs = self._table, self._choice.runs
        first = table.first_shown
        # The table has no height before the first layout.
        seen = runs[first : first + max(table.size.height, _SEEN_AT_LEAST)]
        drawn = set(self._marks.runs[:MOST_CURVES])
        return seen + [run for run in runs if run.path in drawn and run not in seen] if drawn else seen

    # Display

    def _row(self, index: int) -> RunRow:
        choice = self._choice
        run = choice.runs[index]
        return RunRow(
            run,
            choice.catalog.known_extent(run),
            choice.settings(run),
            time.time(),
            self._marks.color(run.path),
            run.path in choice.best,
            choice.groups.get(run.path),
        )

    def _show_runs(self, runs: list[RunSummary]) -> None:
        chosen, choice, table = self.chosen, self._choice, self._table
        if bool(runs) != bool(choice.runs):
            # The offered keys depend on it.
            self.refresh_bindings()
        self._is_read = True
        choice.runs = runs
        self._marks.keep(choice.paths)
        at = next((at for at, run in enumerate(runs) if chosen is not None and run.path == chosen.path), None)
        table.metric, table.has_sources = choice.metric, choice.has_sources
        table.entitle(self._title())
        table.show(
            len(runs),
            self._row,
            cursor=at,
            sorted_by=choice.order,
            is_reversed=choice.is_reversed,
            empty=self._nothing,
            position=self._position,
        )

    def _title(self) -> str:
        choice = self._choice
        if choice.filter_error:
            return f"Runs  [not bold $warning]▲ {name(choice.filter_error, 60)}[/]"
        root = str(choice.root)
        if len(root) > _ROOT_CELLS:
            root = f"…{root[1 - _ROOT_CELLS :]}"
        notes = [name(root)]
        if choice.is_by_seed:
            notes.append("all but the seed")
        if choice.order == NEWEST and choice.is_reversed:
            notes.append("oldest first")
        if choice.filter_text:
            notes.append(f"[$text-primary]/{name(choice.filter_text, 40)}[/] {len(choice.runs):,} of {choice.count:,}")
        return f"Runs  [not bold $text-muted]{' · '.join(notes)}[/]"

    def _position(self, at: int) -> str:
        marked = f"{len(self._marks):,} marked · " if self._marks else ""
        return f"{marked}{at + 1:,} of {len(self._choice.runs):,}" if self._choice.runs else ""

    def _reading(self, width: int, height: int) -> list[str]:
        done, total = self._choice.catalog.progress
        share = f"{done:,} of {total:,}  {bar(done / total, 12)}" if total else "…"
        return [f"[$text-muted]reading {share}[/]"]

    def _say_progress(self) -> None:
        if not self._is_read and self.is_on_screen:
            self._table.show(0, self._row, empty=self._reading, position=lambda at: "")

    def _nothing(self, width: int, height: int) -> Sequence[str]:
        choice = self._choice
        if choice.filter_text:
            ways = [("Esc", "shows all again"), ("/", "changes the filter")]
            return nothing_here("No run matches", f"{choice.count:,} are hidden", ways)(width, height)
        begin = f"starts {name(self.draft.name, 30)}" if self.draft is not None else "starts the draft"
        ways = [("S", begin), ("3", "changes its settings"), ("o", "opens another folder, or a checkpoint")]
        return nothing_here(f"No runs in {name(str(choice.root), 40)}", "A run appears when it is started.", ways)(
            width, height
        )

    def _show_error(self, reason: str) -> None:
        self._is_read = True

        def draw(width: int, height: int) -> list[str]:
            words = prose(f"{self.root}: {reason}", width - 2)
            return ["[$error]✗ The runs can't be read[/]", *words, "", "[b $key]o[/] opens another folder"]

        self._choice.runs = []
        self._table.show(0, self._row, empty=draw, position=lambda at: "")

    def _marks_changed(self) -> None:
        self._table.refresh_rows()
        self._show_runs(self._choice.runs)
        self._look_at_chosen()

    def _show_checkpoints(self) -> None:
        self._checkpoint_table.show(self._checkpoints_look, self._marked_checkpoints)

    def _show_differences(self) -> None:
        """Compare the marked runs, or the one under the cursor with the draft."""
        known = {run.path: run for run in self._choice.runs}
        runs = [known[path] for path in self._drawn_runs()[:MOST_CURVES] if path in known]
        self._side.show_differences(runs, self._choice.settings, self._marks, self.draft)

    def watch_draft(self) -> None:
        """The draft is compared with the run under the cursor."""
        if self.is_mounted and not self._marks:
            self._show_differences()
