"""Compares two checkpoints: curves in one chart, settings that differ, and distance between the weights."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.runs.browsing.references import run_of
from torchdeck.engine.runs.on_disk.directory import split_run_id
from torchdeck.engine.user_path import user_path

from ..drawing import escape
from ..keys.bindings import bindings
from ..plain_text import printable, printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..runs.curves import CurvesLook, RunCurves
from ..widgets.charts.chart import Chart
from ..widgets.key_line import KeyLine
from ..widgets.panel import Box
from ..words.metric_text import charted
from ..words.runs.score_text import comparison_text, distance_text, settings_text
from ..working import Working
from .ask import PromptScreen
from .dialog import OVER_KEYS, OverScreen

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.series import Points

_COLORS = ("$series-1", "$series-2")
_COLORS_OF_OTHERS = ("$series-3", "$series-4", "$series-5")


class CompareScreen(Working, OverScreen[None]):
    """Compares in the worker process; reads the curves from the directories of the runs."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("comparison")

    def __init__(self, first: Path, second: Path, worker: WorkerProcess) -> None:
        """Create the screen for two checkpoint files."""
        super().__init__()
        self._paths = (first, second)
        self._worker = worker
        self._runs = tuple(map(run_of, self._paths))
        self._curves, self._turn = RunCurves(), asyncio.Lock()
        self._wanted, self._look = "", CurvesLook()
        self._overlaid: dict[str, dict[str, Points]] = {}

    def compose(self) -> ComposeResult:
        """Lay out the curves above the text."""
        yield Chart("reading the curves …", x_label="step", id="compared_curves")
        with Box(title="Comparison", id="words"), VerticalScroll():
            yield Static("[$text-muted]comparing settings, metrics and weights …[/]", id="comparison")
        yield KeyLine(OVER_KEYS)

    def on_mount(self) -> None:
        """Start the comparison."""
        self._draw()
        self._compare()

    def action_next_curve(self) -> None:
        """Show the next metric."""
        if metrics := list(self._look.metrics):
            self._wanted = metrics[(metrics.index(self._look.metric) + 1) % len(metrics)]
            self._draw()

    @work(exclusive=True, group="overlay")
    async def action_overlay(self) -> None:
        """Ask for the log of another tool, and overlay its curves."""
        from torchdeck.engine.interchange.foreign_curves import curve_like, read_curves

        explanation = "TensorBoard event files, or a CSV table such as Lightning's metrics.csv. A file or its folder."
        error, typed = "", ""
        while True:
            answer = await self.app.push_screen_wait(
                PromptScreen("Overlay curves from", explanation, typed, error=error)
            )
            if not answer:
                return
            typed = answer
            try:
                path = user_path(typed)
                curves = await asyncio.to_thread(read_curves, path)
            except TorchdeckError as refusal:
                error = str(refusal)
                continue
            self._overlaid[path.name] = curves
            if curve_like(curves, self._look.metric) is None:
                # A metric that both have says more than the one that was shown.
                self._wanted = next((each for each in self._look.metrics if curve_like(curves, each)), "")
            self._draw()
            return

    @work(exclusive=True, group="curves")
    async def _draw(self) -> None:
        async with self._turn:
            self._look = await asyncio.to_thread(_read_curves, self._curves, self._runs, self._wanted)
        look, chart = self._look, self.query_one(Chart)
        chart.clear()
        chart.title = look.title or "no curves"
        is_smoothed = look.metric.startswith("train/")
        of_runs = {curve.run: curve for curve in look.curves}
        for letter, run, color in zip("AB", self._runs, _COLORS, strict=True):
            if run is not None and run in of_runs:
                # Both runs may have the same name.
                legend = f"{letter} {split_run_id(run.name)[0]}"
                chart.set_series(legend, of_runs[run].x, of_runs[run].y, color, is_smoothed=is_smoothed)
        self._draw_overlaid(chart, look.metric, is_smoothed=is_smoothed)
        chart.request_redraw()

    def _draw_overlaid(self, chart: Chart, metric: str, *, is_smoothed: bool) -> None:
        from torchdeck.engine.interchange.foreign_curves import curve_like

        for (label, others), color in zip(self._overlaid.items(), cycle(_COLORS_OF_OTHERS), strict=False):
            if (theirs := curve_like(others, metric)) is not None:
                x, y = others[theirs]
                y = charted(metric.rpartition("/")[2], y)
                chart.set_series(f"{label} {theirs}", x, y, color, is_smoothed=is_smoothed)
            else:
                names = ", ".join(printable(other) for other in list(others)[:6])
                self.app.notify(f"{label} has no {metric}; it has {names}")

    @work(exclusive=True)
    async def _compare(self) -> None:
        words = self.query_one("#comparison", Static)
        try:
            comparison = await self._worker.call(worker_calls.COMPARE_CHECKPOINTS, *self._paths)
        except (TorchdeckError, WorkerError) as error:
            words.update(f"[$error]{escape(printable_lines(str(error)))}[/]")
            return
        about = comparison_text(comparison, *self._paths)
        words.update("\n\n".join(filter(None, (about, settings_text(comparison), distance_text(comparison)))))


def _read_curves(curves: RunCurves, runs: Sequence[Path | None], wanted: str) -> CurvesLook:
    """Read a curve of each run to its end. Call it in a thread."""
    known = list(dict.fromkeys(run for run in runs if run is not None))
    look = curves.look(known, wanted, "step")
    while look.has_more:
        look = curves.look(known, wanted, "step")
    return look
