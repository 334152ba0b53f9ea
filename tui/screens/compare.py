"""Compares two checkpoints: curves in one chart, settings that differ, and distance between the weights."""

from __future__ import annotations

import asyncio
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.user_path import user_path

from ..drawing import name
from ..keys.bindings import bindings
from ..plain_text import printable, printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.charts.chart import Chart
from ..widgets.key_line import KeyLine
from ..widgets.panel import Box
from ..words.score_text import comparison_text, distance_text, settings_text
from ..working import Working
from .ask import PromptScreen
from .dialog import OVER_KEYS, OverScreen

if TYPE_CHECKING:
    import numpy as np

    from torchdeck.engine.runs.on_disk.series import Points

_COLORS = ("$series-1", "$series-2")
_COLORS_OF_OTHERS = ("$series-3", "$series-4", "$series-5")
_CURVES = ("validation/loss", "train/loss", "validation/accuracy", "lr")


class CompareScreen(Working, OverScreen[None]):
    """Compares in the worker process; reads the curves from the directories of the runs."""

    DEFAULT_CSS = """
    CompareScreen {
        background: $background;
        & > Chart { height: 2fr; }
        & > #words { height: 3fr; }
        & Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("comparison")

    def __init__(self, first: Path, second: Path, worker: WorkerProcess) -> None:
        """Create the screen for two checkpoint files."""
        super().__init__()
        self._paths = (first, second)
        self._worker = worker
        self._curve = 0
        self._overlaid: dict[str, dict[str, Points]] = {}

    def compose(self) -> ComposeResult:
        """Lay out the curves above the text."""
        yield Chart(_CURVES[0], x_label="step", id="compared_curves")
        with Box(title=f"Comparison  [not bold $text-muted]{_named(self._paths)}[/]", id="words"), VerticalScroll():
            yield Static("[$text-muted]comparing settings, metrics and weights …[/]", id="comparison")
        yield KeyLine(OVER_KEYS)

    def on_mount(self) -> None:
        """Start the comparison."""
        self._draw()
        self._compare()

    def action_next_curve(self) -> None:
        """Show the next metric."""
        self._curve = (self._curve + 1) % len(_CURVES)
        self._draw()

    @work(exclusive=True, group="overlay")
    async def action_overlay(self) -> None:
        """Ask for the log of another tool, and overlay its curves."""
        from torchdeck.engine.interchange.foreign_curves import read_curves

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
            self._draw()
            return

    @work(exclusive=True, group="curves")
    async def _draw(self) -> None:
        from torchdeck.engine.interchange.foreign_curves import curve_like

        name = _CURVES[self._curve]
        curves = await asyncio.to_thread(_curves_of, self._paths, name)
        chart = self.query_one(Chart)
        chart.clear()
        chart.title = name
        for number, ((legend, x, y), color) in enumerate(zip(curves, _COLORS, strict=False)):
            # Both runs may have the same name.
            chart.set_series(f"{'AB'[number]} {legend}", x, y, color, is_smoothed=name == "train/loss")
        for (label, others), color in zip(self._overlaid.items(), cycle(_COLORS_OF_OTHERS), strict=False):
            if (theirs := curve_like(others, name)) is not None:
                chart.set_series(f"{label} {theirs}", *others[theirs], color, is_smoothed=name == "train/loss")
            else:
                names = ", ".join(printable(other) for other in list(others)[:6])
                self.app.notify(f"{label} has no {name}; it has {names}")
        chart.request_redraw()

    @work(exclusive=True)
    async def _compare(self) -> None:
        words = self.query_one("#comparison", Static)
        try:
            comparison = await self._worker.call(worker_calls.COMPARE_CHECKPOINTS, *self._paths)
        except (TorchdeckError, WorkerError) as error:
            words.update(Text(printable_lines(str(error)), style="red"))
            return
        text = comparison_text(comparison, *self._paths)
        for part in (settings_text(comparison), distance_text(comparison)):
            if part:
                text.append("\n").append_text(part)
        words.update(text)


def _named(paths: tuple[Path, ...]) -> str:
    return " · ".join(name(f"{path.parent.parent.name}/{path.name}", 60) for path in paths)


def _curves_of(paths: tuple[Path, ...], name: str) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Read the curve of each checkpoint's run, if it belongs to one. Call it in a thread."""
    import numpy as np

    from torchdeck.engine.runs.browsing.references import run_of
    from torchdeck.engine.runs.on_disk.directory import given_name
    from torchdeck.engine.runs.reader import RunReader

    curves: list[tuple[str, np.ndarray, np.ndarray]] = []
    for path in paths:
        run = run_of(path)
        if run is None:
            curves.append((path.name, np.empty(0), np.empty(0)))
            continue
        reader = RunReader(run)
        reader.poll()
        try:
            x, y = reader.series(name)
        except KeyError:
            # Not every run records it.
            x = y = np.empty(0)
        curves.append((given_name(run.name), x, y))
    return curves
