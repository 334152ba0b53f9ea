"""The learning-rate range test as a dialog: its curve, and a key to write the suggested rate into the draft."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from .. import drawing
from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.charts.chart import Chart
from ..widgets.progress_line import progress_line
from ..working import Working
from .search import SearchScreen

if TYPE_CHECKING:
    from torchdeck.engine.preflight.lr_range import RangeTest


class LearningRateScreen(Working, SearchScreen[float]):
    """Runs the test in the worker process; returns the rate that the user accepted, if any."""

    NOTHING: ClassVar[str] = "there is no suggested rate"

    def __init__(self, draft: RunConfig, worker: WorkerProcess) -> None:
        """Create a test of the draft's data, model and optimizer.

        Args:
            draft: config whose learning rate is searched.
            worker: process that runs the test.
        """
        super().__init__(f"Learning rate for {draft.name}")
        self._draft = draft
        self._worker = worker
        self._found: RangeTest | None = None

    def body(self) -> ComposeResult:
        """What goes on or was found, above the curve."""
        yield Static("[$text-muted]starting …[/]", id="words")
        yield Chart("Loss", x_label="log₁₀ of the learning rate", empty="the curve is drawn when the test ends")

    def on_mount(self) -> None:
        """Start the test."""
        super().on_mount()
        self._test()

    @work(exclusive=True)
    async def _test(self) -> None:
        def show(message: str, done: int, total: int) -> None:
            width = self.query_one("#words", Static).size.width
            self._say(progress_line(message, done, total, width) if total else f"{drawing.name(message)} …")

        try:
            self._found = await self._worker.follow(worker_calls.FIND_LEARNING_RATE, self._draft, on_progress=show)
        except (TorchdeckError, WorkerError) as error:
            self._say(f"[$text-error]✗ {drawing.escape(printable_lines(str(error)))}[/]")
            return
        self._show(self._found)

    def _say(self, markup: str) -> None:
        self.query_one("#words", Static).update(markup)

    def _show(self, found: RangeTest) -> None:
        chart = self.query_one(Chart)
        positions = [math.log10(rate) for rate in found.learning_rates]
        chart.set_series("", positions, found.losses, "$series-1", is_smoothed=False)
        end = "diverged at the end of the curve" if found.diverged else "did not diverge up to the highest rate"
        if self.suggested is None:
            self._say(f"[$warning]▲[/] no suggestion: the loss never fell; it {end}")
            return
        chart.set_marks([(math.log10(found.suggested), "S")])
        now = f"[$text-muted]now {self._draft.optimizer.lr:g}[/]"
        self._say(f"suggested [b]{found.suggested:.1e}[/] [$text-muted](S in the curve)[/]   {now}\nthe loss {end}")

    @property
    def suggested(self) -> float | None:
        """The suggested rate; None if there is none yet, or at all."""
        if self._found is None or math.isnan(self._found.suggested):
            return None
        return float(f"{self._found.suggested:.1e}")
