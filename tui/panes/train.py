"""The train pane: a run's curves, progress and epochs, read from its directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.runs.on_disk.directory import LIVE_STATUSES

from ..messages import DraftEdited
from ..process.worker_process import WorkerProcess
from ..watched_run import WatchedRun
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
    preparing_lines,
    progress_line,
    refusal_lines,
)
from ..working import Working
from .pane import Pane
from .train_batch_find import BatchSearchScreen
from .train_charts import RunCharts
from .train_lr_find import LearningRateScreen

if TYPE_CHECKING:
    from torchdeck.engine.runs.reader import RunReader

_LINES = ("headline", "progress", "words", "epochs", "machine")

# Two charts are side by side, unless the width is small and the height is enough for both.
_NARROW, _TALL = 100, 32


class TrainPane(Working, Pane):
    """Shows one run, live or not.

    Attributes:
        draft: config that `s` starts.
    """

    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "find_learning_rate", "Find lr"),
        Binding("b", "find_batch", "Find the largest batch", show=False),
        Binding("t", "tables", "Classes"),
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

    def __init__(self, worker: WorkerProcess, run: WatchedRun, id: str | None = None) -> None:
        """Create the pane.

        Args:
            worker: process that tries learning rates; batch sizes are tried in a separate one.
            run: the watched run.
            id: id of the widget.
        """
        super().__init__(id=id)
        self._worker = worker
        self._run = run
        self._shown: dict[str, Text] = {}
        self._shown_changes = -1
        self._shown_path: Path | None = None

    def compose(self) -> ComposeResult:
        """Lay out the status above, the curves in the middle, and the epochs below."""
        yield Static(id="headline", markup=False)
        yield Static(id="progress", markup=False)
        yield Static(id="machine", markup=False)
        yield Static(id="words", markup=False)
        yield RunCharts(id="charts")
        yield Static(id="epochs", markup=False)

    def on_mount(self) -> None:
        """Show the run, or how to start one."""
        self.run_changed()

    def on_resize(self, event: events.Resize) -> None:
        """Redraw the text, which fits one width only."""
        self.set_class(event.size.width < _NARROW and event.size.height >= _TALL, "-stacked")
        self._shown.clear()
        if self._reader is not None:
            self._show()
        elif self._run.launched is None:
            self._say_what_is_not()

    @property
    def _reader(self) -> RunReader | None:
        return self._run.reader

    def explained(self) -> list[Explained]:
        """Alerts and advice of the run, each with its reason, for the help."""
        return explained(self._reader.events()) if self._reader is not None else []

    def run_changed(self) -> None:
        """Show what is new of the run."""
        if not self.is_mounted or not self.query(RunCharts):
            return
        if self._run.path != self._shown_path or self._run.reader is None:
            self._shown_path = self._run.path
            self._forget()
        self.set_class(self._run.status in ENDED_BADLY, "-bad")
        if self._run.reader is not None:
            if self._shown_changes != self._run.changes:
                self._shown_changes = self._run.changes
                self._show()
        elif self._run.launched is not None:
            self._put_lines(*preparing_lines(self._run.launched.message))
        else:
            self._say_what_is_not()

    @property
    def watch_draft(self) -> None:
        """Update the invitation, which names the run that `s` starts."""
        if self.is_mounted and self._reader is None and self._run.launched is None:
            self._say_what_is_not()

    def offers(self, action: str) -> bool:
        """Offer changes only while a live run is shown, and views of a run only while any run is shown."""
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
        if self._run.refusal is not None:
            self._put_lines(*refusal_lines(self._run.refusal.reason, self._run.refusal.advice))
        elif self.draft is not None:
            self._put_lines(*invitation(self.draft))

    def _forget(self) -> None:
        self._shown.clear()
        self._shown_changes = -1
        for charts in self.query(RunCharts):
            charts.clear()
        self._put_lines()

    def _show(self, *, is_asked: bool = False) -> None:
        """Show the run; charts wait for their CPU budget, unless the user pressed a key."""
        reader = self._reader
        if reader is None or not self.is_mounted:
            return
        self.remove_class("-empty")
        progress, state, events_so_far = reader.progress(), reader.state(), reader.events()
        is_live = self._run.status in LIVE_STATUSES
        self._put_lines(
            headline(reader.path.name, self._run.status, progress, state),
            progress_line(progress, self.content_size.width, is_live=is_live),
            last_words(self._run.status, state, events_so_far, *_why_died(self._run.status, reader.path)),
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
