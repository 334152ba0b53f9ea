"""The live panel: a run's curves, progress and epochs, read from its directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.runs.on_disk.directory import LIVE_STATUSES

from ..messages import CommandRequested, DraftEdited, RunNoticed
from ..polling import Poll
from ..process.worker_process import WorkerProcess
from ..widgets.charts.chart import Chart
from ..words.machine_text import machine_line
from ..words.run_text import (
    ENDED_BADLY,
    epoch_table,
    headline,
    invitation,
    last_words,
    marks,
    nothing_live,
    one_line,
    preparing_lines,
    progress_line,
    refusal_lines,
)
from ..working import Working
from .train_batch_find import BatchSearchScreen
from .train_charts import RunCharts
from .train_lr_find import LearningRateScreen
from .train_settings import LiveSetting, LiveSettingsScreen, live_settings

if TYPE_CHECKING:
    from torchdeck.engine.launching.launch import LaunchedRun
    from torchdeck.engine.runs.reader import RunReader

_POLL_SECONDS = 0.5  # while the run lives or is prepared
_POLL_SELDOM = 2.0  # seconds: another process may resume it
_PROFILED_STEPS = 20
_LINES = ("headline", "progress", "words", "epochs", "machine")
# The metrics of a very long run are read in pieces that hold no key press back: about a tenth of a second each.
_BYTES_A_LOOK = 4 << 20

# Two charts stand side by side unless there is little width and enough height for both.
_NARROW, _TALL = 100, 32


class TrainPane(Working, Widget, can_focus=True):
    """Shows one run, live or not.

    Attributes:
        draft: the config that `s` starts.
        watched: the directory of the run that is shown.
        run_status: the shown run's status; empty while there is none.
        one_line: the shown run in a few words, for the end of the line of tabs; empty while there is none.
    """

    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "change_settings", "Change"),
        Binding("f", "find_learning_rate", "Find lr"),
        Binding("b", "find_batch", "Find the largest batch", show=False),
        Binding("P", "profile", "Profile 20 steps", show=False),
        Binding("t", "tables", "Classes"),
        Binding("X", "stop_after_epoch", "Stop after the epoch", show=False),
        Binding("m", "charts('next_smoothing')", "Smooth"),
        Binding("k", "next_metric(1)", "Next metric"),
        Binding("K", "next_metric(-1)", "Metric before", show=False),
        Binding("plus,equals_sign", "charts('zoom(True)')", "Zoom", key_display="+"),
        Binding("minus", "charts('zoom(False)')", "Zoom out", show=False),
        Binding("l", "charts('toggle_log')", "Log y"),
        Binding("z", "enlarge", "Enlarge one", show=False),
        Binding("u", "unit", "Steps or epochs", show=False),
        Binding("left", "charts('cursor(-1)')", "Cursor: values at a step; Shift: ten columns", show=False),
        Binding("right", "charts('cursor(1)')", "Cursor to the right", show=False),
        Binding("shift+left", "charts('cursor(-10)')", show=False),
        Binding("shift+right", "charts('cursor(10)')", show=False),
        Binding("escape", "charts('show_all')", "Take the cursor away, then the zoom", show=False),
    ]

    draft: reactive[RunConfig | None] = reactive(None)
    watched: reactive[Path | None] = reactive(None)
    one_line: reactive[Text] = reactive(Text, repaint=False)

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        """A pane without a run.

        Args:
            worker: the process that tries learning rates; batch sizes are tried in another one like it.
            id: as for every widget.
        """
        super().__init__(id=id)
        self._worker = worker
        self.run_status = ""
        self._noticed_events = 0
        self._reader: RunReader | None = None
        self._launched: LaunchedRun | None = None
        self._refusal: tuple[Text, ...] = ()
        self._shown: dict[str, Text] = {}
        self._is_behind = False
        self._polling: Poll | None = None

    def compose(self) -> ComposeResult:
        """Words above, curves in the middle, epochs below."""
        yield Static(id="headline", markup=False)
        yield Static(id="progress", markup=False)
        yield Static(id="machine", markup=False)
        yield Static(id="words", markup=False)
        yield RunCharts(id="charts")
        yield Static(id="epochs", markup=False)

    def on_mount(self) -> None:
        """One timer for the whole pane; it does nothing while nothing changed."""
        self._say_what_is_not()
        self._polling = Poll(self, self._poll, self._is_run_live, _POLL_SECONDS, _POLL_SELDOM)

    def on_show(self, event: events.Show) -> None:
        """What happened while the pane was hidden is shown at once."""
        self._poll()

    def on_resize(self, event: events.Resize) -> None:
        """The words fit one width only."""
        self.set_class(event.size.width < _NARROW and event.size.height >= _TALL, "-stacked")
        self._shown.clear()
        if self._reader is not None:
            self._show()
        elif self._launched is None:
            self._say_what_is_not()

    def prepare(self, run: LaunchedRun) -> None:
        """Show a run that is being prepared and has no directory yet."""
        self._launched, self._reader, self._refusal = run, None, ()
        self._set_status("preparing")
        self._forget()
        self._poll()

    def refused(self, reason: str, way_on: str) -> None:
        """Show why a run could not be started, until another is. Nothing was written.

        Args:
            reason: what was wrong.
            way_on: which keys change something and try again, in words.
        """
        self._launched = None
        self.one_line = Text()
        self._set_status("")
        self._refusal = refusal_lines(reason, way_on)
        self._say_what_is_not()

    def watch_watched(self, path: Path | None) -> None:
        """Show another run."""
        if path is None:
            self._reader = None
        else:
            from torchdeck.engine.runs.reader import RunReader

            self._reader, self._launched, self._refusal = RunReader(path), None, ()
            self._noticed_events = 0
        if self.is_mounted:
            self._forget()
            self._poll()

    def watch_draft(self) -> None:
        """The invitation names what would be started."""
        if self.is_mounted and self._reader is None and self._launched is None:
            self._say_what_is_not()

    def offers(self, action: str) -> bool:
        """Offer changes of a live run only while one is shown, and what looks at a run only while any is."""
        if action in ("change_settings", "stop_after_epoch", "profile"):
            return self.run_status in LIVE_STATUSES
        return self._reader is not None or action in ("find_learning_rate", "find_batch")

    async def action_charts(self, action: str) -> None:
        """Do with both charts what one of them would do."""
        await self.query_one(RunCharts).act(action)

    def action_next_metric(self, by: int) -> None:
        """Show another metric in the second chart."""
        if self._reader is not None:
            self.query_one(RunCharts).choose_next(self._reader, by)
            self._show(is_asked=True)

    def action_enlarge(self) -> None:
        """Give all the room to one chart, to the other, to both again."""
        self.query_one(RunCharts).enlarge()

    def action_unit(self) -> None:
        """Let the charts count epochs in place of steps, or steps again."""
        if self._reader is not None:
            self.query_one(RunCharts).change_unit()
            self._show(is_asked=True)

    def action_tables(self) -> None:
        """Show the newest evaluation in full: every class, the confusion matrix, calibration."""
        evaluation = self._reader.evaluation() if self._reader is not None else {}
        if self._reader is None or not evaluation:
            self.notify("there is no evaluation yet: the first comes at the end of an epoch", markup=False)
            return
        from ..screens.evaluation import EvaluationScreen

        self.app.push_screen(EvaluationScreen(evaluation, self._reader.classes()))

    def action_stop_after_epoch(self) -> None:
        """Stop the watched run when its epoch is done, evaluated and saved."""
        self.post_message(CommandRequested({"cmd": "stop", "after": "epoch"}))

    def action_profile(self) -> None:
        """Watch some steps of the run with torch.profiler."""
        self.post_message(CommandRequested({"cmd": "profile", "steps": _PROFILED_STEPS}))

    def action_change_settings(self) -> None:
        """Ask for new settings of the watched run."""
        if self._reader is None:
            self.notify("no run is shown: 3 changes the settings of the next one", markup=False)
        elif self.run_status not in LIVE_STATUSES:
            self.notify(nothing_live(self.run_status), severity="warning", markup=False)
        else:
            self._change_settings(live_settings(self._reader.state(), self._reader.progress().epochs))

    @work(exclusive=True, group="settings")
    async def _change_settings(self, settings: list[LiveSetting]) -> None:
        for command in await self.app.push_screen_wait(LiveSettingsScreen(settings)):
            self.post_message(CommandRequested(command))

    @work(exclusive=True, group="learning rate")
    async def action_find_learning_rate(self) -> None:
        """Try learning rates for the draft, and put the one that is taken into it."""
        if self.draft is not None:
            rate = await self.app.push_screen_wait(LearningRateScreen(self.draft, self._worker))
            if rate is not None:
                self.post_message(DraftEdited("optimizer.lr", f"{rate:g}"))

    @work(exclusive=True, group="batch size")
    async def action_find_batch(self) -> None:
        """Try batch sizes for the draft, and put the one that is taken into it."""
        if self.draft is not None:
            size = await self.app.push_screen_wait(BatchSearchScreen(self.draft, self._worker))
            if size is not None:
                self.post_message(DraftEdited("loader.batch_size", str(size)))

    def _say_what_is_not(self) -> None:
        """Without a run: why the last one was refused, or how to start one."""
        self.add_class("-empty")
        if self._refusal:
            self._put_lines(*self._refusal)
        elif self.draft is not None:
            self._put_lines(*invitation(self.draft))

    def _is_run_live(self) -> bool:
        is_reading = self._reader is not None and self._reader.has_more
        return is_reading or self._launched is not None or self.run_status in LIVE_STATUSES

    def _forget(self) -> None:
        if self._polling is not None:
            self._polling.hurry()
        self._shown.clear()
        for charts in self.query(RunCharts):
            charts.clear()
        self._put_lines()

    def _poll(self) -> None:
        """Read what is new; the few words for the line of tabs are kept also while the pane is hidden."""
        if self._launched is not None and self._reader is None:
            self.one_line = one_line("preparing", None)
            if self.is_on_screen:
                self._put_lines(*preparing_lines(self._launched.message))
            return
        reader = self._reader
        if reader is None or len(self.query(Static)) < len(_LINES):
            # There is no run, or the pane is being taken down.
            return
        if reader.poll(_BYTES_A_LOOK) or reader.status() != self.run_status:
            was_live = self.run_status in LIVE_STATUSES
            self._set_status(reader.status())
            self._notice(reader, was_live)
            self.one_line = one_line(self.run_status, reader.progress(), reader.latest_metrics())
            self._is_behind = True
        if self._is_behind and self.is_on_screen:
            self._show()

    def _notice(self, reader: RunReader, was_live: bool) -> None:
        """Post what happened to a run while it was watched."""
        new_events = reader.events()[self._noticed_events :]
        self._noticed_events = len(reader.events())
        if was_live and self.run_status not in LIVE_STATUSES:
            self.post_message(RunNoticed(reader.path, self.run_status))
        elif was_live and any(event["kind"] == "stalled" for event in new_events):
            self.post_message(RunNoticed(reader.path, "stalled"))

    def _set_status(self, status: str) -> None:
        if status != self.run_status:
            self.run_status = status
            self.set_class(status in ENDED_BADLY, "-bad")
            # Which keys make sense depends on it.
            self.refresh_bindings()

    def _show(self, *, is_asked: bool = False) -> None:
        """Show the run; charts wait for their budget, but for what somebody pressed a key for."""
        reader = self._reader
        if reader is None or not self.is_mounted:
            return
        self._is_behind = False
        self.remove_class("-empty")
        progress, state, events_so_far = reader.progress(), reader.state(), reader.events()
        is_live = self.run_status in LIVE_STATUSES
        self._put_lines(
            headline(reader.path.name, self.run_status, progress, state),
            progress_line(progress, self.content_size.width, is_live=is_live),
            last_words(self.run_status, state, events_so_far, *_why_died(self.run_status, reader.path)),
            epoch_table(reader.epoch_records(), rows=max(3, self.size.height // 4 - 2)),
            machine_line(state, reader.system(), is_live=is_live, width=self.content_size.width),
        )
        self.query_one(RunCharts).show(reader, marks(events_so_far))
        for chart in self.query(Chart):
            if not is_asked and (is_live or reader.has_more):
                chart.request_redraw()
            else:
                chart.draw_last()

    def _put_lines(self, *contents: Text) -> None:
        """Update the lines that changed, blank those not given: what did not change costs no byte."""
        for name, content in zip(_LINES, (*contents, *[Text()] * len(_LINES)), strict=False):
            if self._shown.get(name) != content:
                self._shown[name] = content
                self.query_one(f"#{name}", Static).update(content)


def _why_died(status: str, run: Path) -> tuple[str, ...]:
    if status != "died":
        return ()
    from torchdeck.engine.runs.cause_of_death import why_died

    return (why_died(run),)
