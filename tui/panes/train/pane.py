"""The train pane: a run's progress, figures, curves, devices and epochs, read from its directory."""

from __future__ import annotations

import os
import socket
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.reactive import reactive
from textual.timer import Timer

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import ConfigError
from torchdeck.engine.runs.on_disk.directory import source_of
from torchdeck.engine.runs.on_disk.distant import distant_owner

from ...keys.bindings import bindings
from ...runs.step_axis import AXES
from ...runs.watched_run import WatchedRun
from ...stage import Stage
from ...widgets.panel import FocusableLines, Lines
from ...widgets.rows import Rows
from ...widgets.table import layout
from ...words.train.charted_metrics import charted_metrics
from ...words.train.epoch_rows import epoch_table
from ...words.train.event_reasons import Explained, explained
from ...words.train.event_text import event_lines, newest_event
from ...words.train.machine_text import device_lines, devices_title, time_line
from ...words.train.no_run_text import invitation, preparing, refusal
from ...words.train.rank_text import rank_lines
from ...words.train.run_text import head_title, notices, progress_line, what_trains
from ...words.train.tile_text import TILES, tile_figures
from ...working import Working
from ..pane import Pane
from .charts import MOST_CHARTS, Choice, RunCharts
from .tiles import Tile

if TYPE_CHECKING:
    from torchdeck.engine.runs.run_view import RunView

# Share of a core that showing a live run may take besides its charts, and seconds between two updates at most.
_BUDGET, _LONGEST_WAIT = 0.005, 3.0
_NO_EPOCHS = (-1, -1, "")  # of a table that is still to be filled


class TrainPane(Working, Pane):
    """Shows one run, live or not.

    Attributes:
        draft: config that `S` starts.
    """

    VIEWS: ClassVar[tuple[str, ...]] = ("curves", "epochs")
    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = bindings("train")

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, run: WatchedRun, id: str | None = None) -> None:
        """Create the pane.

        Args:
            run: the watched run.
            id: id of the widget.
        """
        super().__init__(id=id)
        self._run = run
        self._shown_changes = -1
        self._shown_status = ""
        self._shown_reader: RunView | None = None
        self._what = ""
        self._shown_epochs = _NO_EPOCHS
        self._next_update = 0.0
        self._timer: Timer | None = None

    def compose(self) -> ComposeResult:
        """Lay out everything; the stylesheet says what is seen at which size."""
        yield FocusableLines("Train", id="empty", classes="-lead")
        with Container(id="top"):
            with Vertical(id="main"):
                yield Lines(id="head", classes="-lead")
                with Horizontal(id="tiles"):
                    for name in TILES:
                        yield Tile(name)
                yield RunCharts(self._remembered(), id="charts")
            with Container(id="more"):
                yield Lines("Devices", id="devices")
                yield Rows("Epochs", id="epochs")
                yield Lines("Events", id="events")

    def on_mount(self) -> None:
        """Show the run, or how to start one."""
        self.run_changed()

    @property
    def _reader(self) -> RunView | None:
        return self._run.reader

    def explained(self) -> list[Explained]:
        """Alerts and advice of the run, each with its reason, for the help."""
        return explained(self._reader.events()) if self._reader is not None else []

    # Showing

    def run_changed(self) -> None:
        """Show what is new of the run."""
        if not self.is_mounted or not self.query(RunCharts):
            return
        if self._run.reader is not self._shown_reader or self._run.reader is None:
            self._shown_reader = self._run.reader
            self._shown_changes, self._next_update, self._what = -1, 0.0, ""
            self._shown_epochs = _NO_EPOCHS
            self.query_one(RunCharts).clear()
        if self._run.reader is None:
            self._say_what_is_not()
        elif self._shown_changes != self._run.changes:
            self._show_within_budget()

    def watch_draft(self) -> None:
        """Update the invitation, which names the run that `S` starts."""
        if self.is_mounted and self._reader is None:
            self._say_what_is_not()

    def on_resize(self, event: events.Resize) -> None:
        """Fit the notices to another width."""
        if self._reader is not None:
            self.call_after_refresh(self._show)

    def show_view(self, view: str) -> None:
        """Show a view, with its parts up to date."""
        super().show_view(view)
        if self._reader is not None:
            self.call_after_refresh(self._show)

    def _say_what_is_not(self) -> None:
        """Without a run, show what is prepared, why the last one was refused, or how to start one."""
        panel = self.query_one("#empty", FocusableLines)
        was_empty = self.has_class("-empty")
        self.add_class("-empty")
        if self._run.launched is not None:
            panel.show(preparing(self.draft.name if self.draft is not None else "", self._run.launched.message))
        elif self._run.refusal is not None:
            panel.show(refusal(self._run.refusal.reason, self._run.refusal.advice))
        elif self.draft is not None:
            panel.show(invitation(self.draft))
        if not was_empty:
            self._focus_again()

    def _focus_again(self) -> None:
        """Focus in what is shown from now on, if the focus was in what is hidden now."""
        focused = self.screen.focused
        if focused is None or self in focused.ancestors:
            self.call_after_refresh(self.focus_first)

    def _show_within_budget(self) -> None:
        """Show the run now, or when its share of the processor allows it. What has ended is shown at once."""
        wait = self._next_update - time.monotonic()
        if wait <= 0 or not self._run.is_live or self._run.status != self._shown_status:
            self._show()
        elif self._timer is None:
            self._timer = self.set_timer(wait, self._show)

    def _show(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        reader = self._reader
        if reader is None or not self.is_mounted or not self.is_on_screen:
            return
        started = time.thread_time()
        self._shown_changes, self._shown_status = self._run.changes, self._run.status
        if self.has_class("-empty"):
            self.remove_class("-empty")
            self._focus_again()
            # Only what is laid out is on the screen, and so is filled.
            self.call_after_refresh(self._show)
        self._show_head(reader)
        self._show_parts(reader)
        cost = time.thread_time() - started
        self._next_update = time.monotonic() + min(cost / _BUDGET, _LONGEST_WAIT)
        is_urgent = not self._run.is_live and not reader.has_more
        has_event_list = bool(self.query_one("#events").display)
        if self.query_one(RunCharts).display:
            self.query_one(RunCharts).show(reader, is_urgent=is_urgent, has_event_list=has_event_list)

    def _show_head(self, reader: RunView) -> None:
        progress, state, status = reader.progress(), reader.state(), self._run.status
        self._what = self._what or what_trains(_config_of(reader), _environment_of(reader), source_of(reader.info()))
        head = self.query_one("#head", Lines)
        can_resume = "reads_commands" not in state
        reason, is_live = _why_died(status, reader.path), self._run.is_live

        def draw(width: int, height: int) -> list[str]:
            told = notices(status, state, reason, width, can_resume=can_resume)
            below = [time_line(state, width), *told]
            return [progress_line(progress, width, is_live=is_live), *(line for line in below if line)]

        lines = draw(max(20, head.size.width or self.size.width - 4), 0)
        head.styles.height = len(lines) + head.gutter.height
        head.show(draw)
        distant = distant_owner(reader.path, state) if is_live else None
        where = distant.words if distant is not None else ""
        title = head_title(reader.path.name, status, progress, self._what, where)
        head.entitle(title, newest_event(reader.events()))

    def _show_parts(self, reader: RunView) -> None:
        """Show the parts besides the head and the charts, as far as they are seen at this size."""
        state, happened, samples = reader.state(), reader.events(), reader.system_samples()
        tiles = [tile for tile in self.query(Tile) if tile.is_on_screen]
        if tiles:
            figures = tile_figures(reader, self._run.status)
            for tile in tiles:
                tile.show(figures[str(tile.id)])
        devices, listed = self.query_one("#devices", Lines), self.query_one("#events", Lines)
        if devices.display:
            cores = (os.cpu_count() or 0) if state.get("host") == socket.gethostname() else 0
            uses_gpu = bool(state.get("uses_gpu"))
            newest = list(samples)[-500:]
            devices.entitle(devices_title(newest, is_live=self._run.is_live))
            ranks, now, is_live = reader.ranks(), time.time(), self._run.is_live
            is_sampled = "pid" in state

            def draw(width: int, height: int) -> list[str]:
                of_ranks = rank_lines(ranks, now, width, is_live=is_live)
                room = max(1, height - len(of_ranks))
                lines = device_lines(newest, width, room, uses_gpu=uses_gpu, cores=cores, is_sampled=is_sampled)
                return [*lines, *of_ranks][:height]

            devices.show(draw)
        if listed.display:
            listed.show(lambda width, height: event_lines(happened, width, height))
        self._show_epochs(reader)

    def _show_epochs(self, reader: RunView) -> None:
        count = (len(reader.epoch_records()), len(reader.evaluation_records()), reader.headline)
        if count == self._shown_epochs:
            return
        self._shown_epochs = count
        records = list(reversed(reader.epoch_records()))
        columns = epoch_table(reader.epoch_records(), reader.score, reader.headline)
        fitted = lru_cache(maxsize=4)(lambda width: layout(columns, width))
        self.query_one("#epochs", Rows).set_rows(
            len(records),
            lambda index, width: fitted(width).line(records[index]),
            head=lambda width: [fitted(width).head()],
            empty=lambda width, height: ["[$text-muted]the first epoch has not ended[/]"],
            position="i shows every class" if reader.evaluation_records() else "",
        )

    # Keys

    def offers(self, action: str) -> bool:
        """Offer what is about a run only while one is shown."""
        return self._reader is not None

    def action_inspect(self) -> None:
        """Show the newest evaluation in full: every class, the confusion matrix, calibration."""
        evaluation = self._reader.evaluation() if self._reader is not None else {}
        if self._reader is None or not evaluation:
            self.app.notify("the first one runs at the end of an epoch", title="No evaluation yet")
            return
        from ...screens.evaluation import EvaluationScreen

        self.app.push_screen(EvaluationScreen(evaluation, self._reader.classes()))

    @on(Rows.Clicked, "#epochs")
    def _inspect_clicked(self) -> None:
        self.action_inspect()

    def action_x_axis(self) -> None:
        """Let the x axis of all charts count steps, epochs or time."""
        self.query_one(RunCharts).change_x_axis()
        self._remember()

    @work(exclusive=True, group="chart")
    async def action_add_chart(self) -> None:
        """Choose a metric, and show it behind the focused chart."""
        charts = self.query_one(RunCharts)
        if len(charts.names) >= MOST_CHARTS:
            self.app.notify(f"{MOST_CHARTS} charts are shown: d removes one", severity="warning")
            return
        at = charts.focused_number() + 1
        if (name := await self._asked("Add a chart")) is not None:
            charts.choose([*charts.names[:at], name, *charts.names[at:]], focus=at)
            self._remember()

    @work(exclusive=True, group="chart")
    async def action_edit_chart(self) -> None:
        """Choose another metric for the focused chart."""
        charts = self.query_one(RunCharts)
        at = charts.focused_number()
        if (name := await self._asked("Show instead")) is not None:
            charts.choose([*charts.names[:at], name, *charts.names[at + 1 :]], focus=at)
            self._remember()

    def action_remove_chart(self) -> None:
        """Remove the focused chart."""
        charts = self.query_one(RunCharts)
        names, at = charts.names, charts.focused_number()
        if len(names) <= 1:
            self.app.notify("this is the only chart: e shows another metric in it", severity="warning")
            return
        charts.choose([*names[:at], *names[at + 1 :]], focus=min(at, len(names) - 2))
        self._remember()

    def action_default_charts(self) -> None:
        """Show as many charts as fit, the most telling metrics first."""
        self.query_one(RunCharts).choose(None)
        self._remember()

    async def _asked(self, question: str) -> str | None:
        """Ask for a metric of the run."""
        from ...screens.pick import PickEntry, PickScreen

        assert self._reader is not None
        entries = [PickEntry(each.name, each.about) for each in charted_metrics(self._reader).values()]
        return await self.app.push_screen_wait(PickScreen(question, entries))

    # What is remembered

    def _remembered(self) -> Choice:
        """The user's choices of former sessions; what can't be understood is left out."""
        kept = cast(Stage, self.app).preferences.panes.get("train", {})
        names, axis, smoothing = kept.get("charts"), kept.get("x_axis"), kept.get("smoothing")
        choice = Choice()
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            choice.names = list(names)[:MOST_CHARTS]
        if axis in AXES:
            choice.x_axis = axis
        if isinstance(smoothing, int | float) and 0 <= smoothing < 1:
            choice.smoothing = float(smoothing)
        return choice

    def _remember(self) -> None:
        choice = self.query_one(RunCharts).choice
        names: Any = choice.names or []
        cast(Stage, self.app).remember(pane="train", charts=names, x_axis=choice.x_axis, smoothing=choice.smoothing)


def _config_of(reader: RunView) -> RunConfig | None:
    try:
        return reader.config()
    except ConfigError:
        return None


def _environment_of(reader: RunView) -> dict[str, Any]:
    environment = reader.info().get("environment")
    return environment if isinstance(environment, dict) else {}


def _why_died(status: str, run: Path) -> str:
    if status == "damaged":
        from torchdeck.engine.runs.on_disk.directory import damage_of

        return "\n".join(damage_of(run))
    if status != "died":
        return ""
    from torchdeck.engine.runs.cause_of_death import why_died

    return why_died(run)
