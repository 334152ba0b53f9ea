"""Beside the table of runs: curves of the marked ones over each other, and what differs between them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message

from torchdeck.engine.config import RunConfig

from ...drawing import name
from ...keys.bindings import bindings
from ...runs.curves import CurvesLook
from ...runs.marks import RunMarks
from ...runs.step_axis import AXES, Axis, next_axis
from ...screens.pick import PickEntry, PickScreen
from ...stage import Stage
from ...widgets.charts.chart import Chart
from ...widgets.rows import Rows
from ...words.metric_text import metric_title
from ...words.runs.run_differences import ComparedRun, difference_line, differences, head_line
from ...words.runs.run_lists import SERIES_COLORS, curve_labels
from ...working import Working
from .table import Asking

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.directory import RunSummary


# Longer names are not shown in the legend and in the headings.
_LEGEND_CELLS, _HEADING_CELLS = 14, 10


class RunsChart(Asking, Chart):
    """Curves of runs over each other."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("run_chart")


class DifferenceRows(Rows):
    """Settings and results in which runs differ, a column per run."""

    def show(self, runs: Sequence[ComparedRun], title: str) -> None:
        """Compare some runs, or a run and the draft."""
        self.entitle(title)
        rows = differences(runs)
        settings = [row for row in rows if not row.is_result]
        results = [row for row in rows if row.is_result]
        # A rule between the two.
        border = len(settings) if settings and results else -1
        count = len(rows) + (border >= 0)

        def line(index: int, width: int) -> str:
            if index == border:
                return f"[$frame]{'─' * width}[/]"
            return difference_line(rows[index - (0 <= border < index)], width)

        def nothing(width: int, height: int) -> list[str]:
            return [f"[$text-muted]no setting differs between {name(_named(runs))}[/]"] if runs else []

        self.set_rows(
            count,
            line,
            head=lambda width: [head_line(runs, width)],
            headings=(border,) if border >= 0 else (),
            empty=nothing,
            position=f"{len(settings)} differ" if settings else "",
        )


def _named(runs: Sequence[ComparedRun]) -> str:
    return " and ".join(run.label for run in runs)


class RunSide(Working, Vertical):
    """The two panels, and what the user chose to see in them.

    Attributes:
        metric: series that is drawn; empty for the one that a run's best is judged by.
        axis: what the x axis counts.
        look: the curves that are drawn.
    """

    class Changed(Message):
        """The user wants to see other curves."""

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.metric = ""
        self.axis: Axis = AXES[0]
        self.look = CurvesLook()

    @property
    def _focus_sort_key(self) -> tuple[int, int]:
        # Tab goes from the runs to their checkpoints first, wherever this is.
        return sys.maxsize, 0

    def compose(self) -> ComposeResult:
        """Lay out the curves above what differs."""
        yield RunsChart("", empty="no curves yet", x_label="step", id="run_curves")
        yield DifferenceRows("What differs", id="differences")

    def recall(self, remembered: Mapping[str, Any]) -> None:
        """Choose what the user chose in a former session, as far as that is known."""
        self.axis = remembered["axis"] if remembered.get("axis") in AXES else AXES[0]
        self.metric = str(remembered.get("metric", ""))

    async def answer(self, what: str) -> None:
        """Do what a key of the curves means."""
        if what == "metric":
            self._choose_metric()
        elif what == "axis":
            self.axis = next_axis(self.axis)
            self.query_one(RunsChart).clear()
            self._changed(axis=self.axis)

    @work(group="metric", exclusive=True)
    async def _choose_metric(self) -> None:
        entries = [PickEntry(metric, metric_title(metric.rpartition("/")[2])) for metric in self.look.metrics]
        if not entries:
            self.app.notify("no run that is drawn has curves yet", severity="warning")
            return
        chosen = await self.app.push_screen_wait(PickScreen("Curve", entries))
        if chosen is not None:
            self.metric = chosen
            self._changed(metric=chosen)

    def _changed(self, **choices: Any) -> None:
        cast(Stage, self.app).remember(pane="runs", **choices)
        self.post_message(self.Changed())

    def show_curves(self, look: CurvesLook, marks: RunMarks) -> None:
        """Draw the curves of a look."""
        self.look = look
        chart = self.query_one(RunsChart)
        labels = curve_labels([curve.run.name for curve in look.curves], _LEGEND_CELLS)
        if chart.title != look.title or chart.x_label != look.x_label:
            # Lines keep the order in which they first appeared.
            chart.keep_series(())
        chart.title, chart.x_label = look.title, look.x_label
        chart.keep_series(labels)
        for label, curve in zip(labels, look.curves, strict=True):
            color = marks.color(curve.run) or SERIES_COLORS[0]
            chart.set_series(label, curve.x, curve.y, color, band=curve.band)
        chart.request_redraw()

    def show_differences(
        self,
        runs: Sequence[RunSummary],
        settings: Callable[[RunSummary], Mapping[str, Any] | None],
        marks: RunMarks,
        draft: RunConfig | None,
    ) -> None:
        """Compare some runs, or a single one with the draft.

        Args:
            runs: the runs.
            settings: gives their configs by dotted key; None while one was not read.
            marks: their colors.
            draft: config of the next run.
        """
        compared = self._compared(runs, settings, marks)
        title = f"{len(marks):,} marked"
        if len(compared) == 1 and draft is not None:
            compared.append(ComparedRun("draft", "", _draft_settings(draft)))
            title = "from the draft"
        shown = compared if len(compared) > 1 else []
        self.query_one(DifferenceRows).show(shown, f"What differs  [not bold $text-muted]{title if shown else ''}[/]")

    def _compared(
        self,
        runs: Sequence[RunSummary],
        settings: Callable[[RunSummary], Mapping[str, Any] | None],
        marks: RunMarks,
    ) -> list[ComparedRun]:
        compared = []
        labels = curve_labels([run.name for run in runs], _HEADING_CELLS)
        for label, run in zip(labels, runs, strict=True):
            values = settings(run)
            if values is None:
                continue
            best = (run.best["metric"], run.best["value"]) if run.best else None
            facts = self.look.facts.get(run.path)
            seconds, rate = (facts.seconds, facts.samples_per_s) if facts is not None else (math.nan, 0.0)
            color = marks.color(run.path) or SERIES_COLORS[0]
            compared.append(ComparedRun(label, color, values, best, seconds, rate))
        return compared


def _draft_settings(draft: RunConfig) -> dict[str, Any]:
    from torchdeck.engine.runs.browsing.run_catalog import settings_of

    return settings_of(draft)
