"""The draft's plan: the learning rate of every step as a curve, and the parameter groups."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..drawing import escape, name
from ..keys.bindings import bindings
from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.charts.chart import Chart
from ..words.setup.plan_text import plan_text
from ..working import Working
from .dialog import OverScreen


class PlanScreen(Working, OverScreen[None]):
    """Plans the draft in the worker process and shows the plan."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("plan")

    def __init__(self, draft: RunConfig, worker: WorkerProcess) -> None:
        """Create the screen; the plan is made when it is shown.

        Args:
            draft: config of the next run.
            worker: process that makes the plan.
        """
        super().__init__()
        self._draft = draft
        self._worker = worker

    def compose(self) -> ComposeResult:
        """Lay out the curve above the text."""
        with Vertical(classes="dialog -large") as box:
            box.border_title = f"Plan of {name(self._draft.name)}"
            box.border_subtitle = "[b]Esc[/] closes"
            yield Chart("Learning rate", x_label="step", empty="planning …")
            with VerticalScroll():
                yield Static("[$text-muted]planning …[/]", id="words")

    def on_mount(self) -> None:
        """Start to plan."""
        self._plan()

    @work(exclusive=True)
    async def _plan(self) -> None:
        words = self.query_one("#words", Static)
        try:
            plan = await self._worker.call(worker_calls.PLAN_RUN, self._draft)
        except (TorchdeckError, WorkerError) as error:
            words.update(f"[$error]{escape(printable_lines(str(error)))}[/]")
            return
        chart = self.query_one(Chart)
        for legend, rates in (("lr", plan.rates), ("lowest", plan.lowest_rates if len(plan.groups) > 1 else [])):
            if rates:
                chart.set_series(legend, range(1, len(rates) + 1), rates, is_smoothed=False)
        chart.request_redraw()
        words.update(plan_text(plan))
