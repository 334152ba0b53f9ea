"""The learning-rate range test, as a screen over the train pane: its curve, and a key to use the suggested rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..plain_text import printable, printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.charts.chart import Chart
from ..working import Working
from .dialog import OverScreen

if TYPE_CHECKING:
    from torchdeck.engine.preflight.lr_range import RangeTest


class LearningRateScreen(Working, OverScreen[float | None]):
    """Runs the test in the worker process; returns the rate that the user accepted, if any."""

    DEFAULT_CSS = """
    LearningRateScreen { align: center middle; }
    LearningRateScreen > Vertical {
        width: 90%; max-width: 110; height: 90%; max-height: 34; padding: 0 1;
        border: round $primary; background: $surface;
    }
    LearningRateScreen #words { height: auto; max-height: 50%; }
    LearningRateScreen Chart { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "Use this rate"),
        Binding("escape", "cancel", "Cancel"),
    ]

    def __init__(self, draft: RunConfig, worker: WorkerProcess) -> None:
        """Create a test of the draft's data, model and optimizer.

        Args:
            draft: config whose learning rate is searched.
            worker: process that runs the test.
        """
        super().__init__()
        self._draft = draft
        self._worker = worker
        self._found: RangeTest | None = None

    def compose(self) -> ComposeResult:
        """Lay out the text above the curve."""
        with Vertical() as box:
            box.border_title = f"Learning rate for {printable(self._draft.name)}"
            box.border_subtitle = "? keys · Esc cancels"
            yield Static("starting …", id="words", markup=False)
            yield Chart("loss over log₁₀ of the learning rate", empty="the curve is drawn when the test ends")

    def on_mount(self) -> None:
        """Start the test."""
        self._test()

    @work(exclusive=True)
    async def _test(self) -> None:
        words = self.query_one("#words", Static)

        def show(message: str, done: int, total: int) -> None:
            words.update(f"{printable(message)} {done}/{total}" if total else f"{printable(message)} …")

        try:
            self._found = await self._worker.follow(worker_calls.FIND_LEARNING_RATE, self._draft, on_progress=show)
        except (TorchdeckError, WorkerError) as error:
            words.update(printable_lines(str(error)))
            words.styles.color = self.app.theme_variables.get("error", "red")
            return
        self._show(self._found)

    def _show(self, found: RangeTest) -> None:
        chart = self.query_one(Chart)
        chart.set_series("loss", [math.log10(rate) for rate in found.learning_rates], found.losses, "$primary")
        end = "diverged at the end of the curve" if found.diverged else "did not diverge up to the highest rate"
        if math.isnan(found.suggested):
            self.query_one("#words", Static).update(f"no suggestion: the loss never fell; it {end}")
            return
        chart.set_marks([(math.log10(found.suggested), "S")])
        self.query_one("#words", Static).update(
            f"suggested: {found.suggested:.1e} (S in the curve); now {self._draft.optimizer.lr:g}. The loss {end}.\n"
            "Enter applies it to the draft"
        )

    @property
    def suggested(self) -> float | None:
        """The suggested rate; None if there is none yet, or at all."""
        if self._found is None or math.isnan(self._found.suggested):
            return None
        return float(f"{self._found.suggested:.1e}")

    def action_take(self) -> None:
        """Close with the suggested rate."""
        if self.suggested is not None:
            self.dismiss(self.suggested)

    def action_cancel(self) -> None:
        """Close without a result; a running test ends."""
        self.workers.cancel_node(self)
        self.dismiss(None)
