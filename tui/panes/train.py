"""The train pane: a run's curves, progress and epochs, read from its directory."""

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
from ..words.event_reasons import Explained, explained
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

_POLL_SECONDS = 0.5  # seconds, while the run is live or being prepared
_POLL_SELDOM = 2.0  # seconds: another process may resume it
_PROFILED_STEPS = 20
_LINES = ("headline", "progress", "words", "epochs", "machine")
# The metrics of a very long run are read in chunks of about 0.1 s, so that keys stay responsive.
_BYTES_A_LOOK = 4 << 20

# Two charts are side by side, unless the width is small and the height is enough for both.
_NARROW, _TALL = 100, 32


class TrainPane(Working, Widget, can_focus=True):
    """Shows one run, live or not.

    Attributes:
        draft: config that `s` starts.
        watched: directory of the run that is shown.
        run_status: status of the run that is shown; empty if there is none.
        one_line: short status of the run that is shown, for the tab line; empty if there is none.
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
        Binding("K", "next_metric(-1)", "Previous metric", show=False),
        Binding("plus,equals_sign", "charts('zoom(True)')", "Zoom", key_display="+"),
        Binding("minus", "charts('zoom(False)')", "Zoom out", show=False),
        Binding("l", "charts('toggle_log')", "Log y"),
        Binding("z", "enlarge", "Maximize chart", show=False),
        Binding("u", "unit", "Toggle steps / epochs", show=False),
        Binding("left", "charts('cursor(-1)')", "Cursor: values at a step; Shift: ten columns", show=False),
        Binding("right", "charts('cursor(1)')", "Move the cursor right", show=False),
        Binding("shift+left", "charts('cursor(-10)')", show=False),
        Binding("shift+right", "charts('cursor(10)')", show=False),
        Binding("escape", "charts('show_all')", "Clear cursor, then zoom", show=False),
    ]

    draft: reactive[RunConfig | None] = reactive(None)
    watched: reactive[Path | None] = reactive(None)
    one_line: reactive[Text] = reactive(Text, repaint=False)

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        """Create the pane without a run.

        Args:
            worker: process that tries learning rates; batch sizes are tried in a separate one.
            id: id of the widget.
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
        """Lay out the status above, the curves in the middle, and the epochs below."""
        yield Static(id="headline", markup=False)
        yield Static(id="progress", markup=False)
        yield Static(id="machine", markup=False)
        yield Static(id="words", markup=False)
        yield RunCharts(id="charts")
        yield Static(id="epochs", markup=False)

    def on_mount(self) -> None:
        """Start the one timer of the pane; it does nothing while nothing changes."""
        self._say_what_is_not()
        self._polling = Poll(self, self._poll, self._is_run_live, _POLL_SECONDS, _POLL_SELDOM)

    def on_show(self, event: events.Show) -> None:
        """Show at once what happened while the pane was hidden."""
        self._poll()

    def on_resize(self, event: events.Resize) -> None:
        """Redraw the text, which fits one width only."""
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

    def explained(self) -> list[Explained]:
        """Alerts and advice of the run, each with its reason, for the help."""
        return explained(self._reader.events()) if self._reader is not None else []

    def refused(self, reason: str, advice: str) -> None:
        """Show why a run could not be started, until another one is. Nothing was written.

        Args:
            reason: why it could not be started.
            advice: keys that change something and try again, as a sentence.
        """
        self._launched = None
        self.one_line = Text()
        self._set_status("")
        self._refusal = refusal_lines(reason, advice)
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

    @property
    def renamed(self) -> Path | None:
        """Where the directory of the shown run is since it was renamed; None where it is still where it was."""
        is_elsewhere = self._reader is not None and self.watched is not None and self._reader.path != self.watched
        return self._reader.path if is_elsewhere and self._reader is not None else None

    def watch_draft(self) -> None:
        """Update the invitation, which names the run that `s` starts."""
        if self.is_mounted and self._reader is None and self._launched is None:
            self._say_what_is_not()

    def offers(self, action: str) -> bool:
        """Offer changes only while a live run is shown, and views of a run only while any run is shown."""
        if action in ("change_settings", "stop_after_epoch", "profile"):
            return self.run_status in LIVE_STATUSES
        return self._reader is not None or action in ("find_learning_rate", "find_batch")

    async def action_charts(self, action: str) -> None:
        """Apply a chart action to both charts."""
        await self.query_one(RunCharts).act(action)

    def action_next_metric(self, by: int) -> None:
        """Show another metric in the second chart."""
        if self._reader is not None:
            self.query_one(RunCharts).choose_next(self._reader, by)
            self._show(is_asked=True)

    def action_enlarge(self) -> None:
        """Maximize the first chart, then the second, then show both again."""
        self.query_one(RunCharts).enlarge()

    def action_unit(self) -> None:
        """Switch the x axis of the charts between steps and epochs."""
        if self._reader is not None:
            self.query_one(RunCharts).change_unit()
            self._show(is_asked=True)

    def action_tables(self) -> None:
        """Show the newest evaluation in full: every class, the confusion matrix, calibration."""
        evaluation = self._reader.evaluation() if self._reader is not None else {}
        if self._reader is None or not evaluation:
            self.notify("no evaluation yet: the first one runs at the end of an epoch", markup=False)
            return
        from ..screens.evaluation import EvaluationScreen

        self.app.push_screen(EvaluationScreen(evaluation, self._reader.classes()))

    def action_stop_after_epoch(self) -> None:
        """Stop the watched run after its current epoch is trained, evaluated and saved."""
        self.post_message(CommandRequested({"cmd": "stop", "after": "epoch"}))

    def action_profile(self) -> None:
        """Profile some steps of the run with torch.profiler."""
        self.post_message(CommandRequested({"cmd": "profile", "steps": _PROFILED_STEPS}))

    def action_change_settings(self) -> None:
        """Ask for new settings of the watched run."""
        if self._reader is None:
            self.notify("no run to change: press 3 for the settings of the next one", markup=False)
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
        """Search for a learning rate, and put the accepted one into the draft."""
        if self.draft is not None:
            rate = await self.app.push_screen_wait(LearningRateScreen(self.draft, self._worker))
            if rate is not None:
                self.post_message(DraftEdited("optimizer.lr", f"{rate:g}"))

    @work(exclusive=True, group="batch size")
    async def action_find_batch(self) -> None:
        """Search for the largest batch size, and put the accepted one into the draft."""
        if self.draft is not None:
            size = await self.app.push_screen_wait(BatchSearchScreen(self.draft, self._worker))
            if size is not None:
                self.post_message(DraftEdited("loader.batch_size", str(size)))

    def _say_what_is_not(self) -> None:
        """Without a run, show why the last one was refused, or how to start one."""
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
        """Read what is new. The short status for the tab line is updated even while the pane is hidden."""
        if self._launched is not None and self._reader is None:
            self.one_line = one_line("preparing", None)
            if self.is_on_screen:
                self._put_lines(*preparing_lines(self._launched.message))
            return
        reader = self._reader
        if reader is None or len(self.query(Static)) < len(_LINES):
            # There is no run, or the pane is closing.
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
        """Post a message if the watched run ended or stalled."""
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
            # The offered keys depend on it.
            self.refresh_bindings()

    def _show(self, *, is_asked: bool = False) -> None:
        """Show the run; charts wait for their CPU budget, unless the user pressed a key."""
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
        """Update the lines that changed and blank those not given; an unchanged line sends nothing."""
        for name, content in zip(_LINES, (*contents, *[Text()] * len(_LINES)), strict=False):
            if self._shown.get(name) != content:
                self._shown[name] = content
                self.query_one(f"#{name}", Static).update(content)


def _why_died(status: str, run: Path) -> tuple[str, ...]:
    if status == "damaged":
        from torchdeck.engine.runs.on_disk.directory import damage_of

        return ("\n".join(damage_of(run)),)
    if status != "died":
        return ()
    from torchdeck.engine.runs.cause_of_death import why_died

    return (why_died(run),)
