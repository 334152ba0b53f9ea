"""The charts of the train pane: which metrics they show, how they are laid out, and what they have in common."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Container

from ...plain_text import printable
from ...runs.step_axis import Axis, axis_unit, next_axis, positions
from ...widgets.charts.chart import Chart
from ...widgets.charts.chart_view import View
from ...words.train.charted_metrics import ChartedMetric, automatic_choice, charted_metrics, chosen_metric, title_of
from ...words.train.event_text import letters_legend, marks

if TYPE_CHECKING:
    from torchdeck.engine.runs.run_view import RunView

MOST_CHARTS = 9
FIRST_SMOOTHING = 0.9
_BUDGET = 0.01  # share of a core that all charts together may take
_LOWEST = 7  # lines of a chart; with more charts than have room, the grid scrolls
_WIDE, _NARROW = 110, 60  # columns from which three, and up to which one chart is in a row
_FEWEST = 2  # charts where the user has not chosen
_NO_STEPS = "the first steps have not ended"
_TALL = 18  # lines from which two rows are shown where the user has not chosen


def charts_that_fit(width: int, height: int) -> int:
    """The number of charts where the user has not chosen one: 2 at 80×24, 4 at 120×40, 6 at 200×60."""
    return (3 if width >= _WIDE + 20 else 2) * (2 if height >= _TALL else 1)


def grid_columns(count: int, width: int) -> int:
    """The number of charts in a row."""
    if width < _NARROW:
        return 1
    return min(count, 3 if width >= _WIDE and count not in (2, 4) else 2)


@dataclass
class Choice:
    """What the user has chosen about the charts.

    Attributes:
        names: names of the metrics; None to show as many as fit, the most telling first.
        x_axis: what the x axis counts.
        smoothing: weight of the exponential average.
    """

    names: list[str] | None = None
    x_axis: Axis = "step"
    smoothing: float = FIRST_SMOOTHING


class RunCharts(Container):
    """A grid of charts over the same x axis; range, cursor and smoothing of one are those of all.

    Attributes:
        choice: what the user has chosen.
    """

    def __init__(self, choice: Choice, id: str | None = None) -> None:
        super().__init__(id=id)
        self.choice = choice
        self._reader: RunView | None = None
        self._has_event_list = False
        self._names: list[str] = []

    def compose(self) -> ComposeResult:
        """Make the charts that are shown at every size; `show` makes the others."""
        for _ in range(len(self.choice.names or ()) or _FEWEST):
            yield self._made()

    @property
    def charts(self) -> list[Chart]:
        """The charts in their order."""
        return list(self.query(Chart))

    @property
    def names(self) -> list[str]:
        """Names of the metrics that are shown."""
        return list(self._names)

    def clear(self) -> None:
        """Remove the run's curves."""
        self._reader = None
        for chart in self.charts:
            chart.clear()

    def show(self, reader: RunView, *, is_urgent: bool, has_event_list: bool) -> None:
        """Show the curves of a run as of the reader's last poll.

        Args:
            reader: reader of the run.
            is_urgent: whether to draw now, whatever the charts' budget allows.
            has_event_list: whether a list of events, which explains the letters, is shown beside.
        """
        self._reader, self._has_event_list = reader, has_event_list
        self._arrange()
        for number, chart in enumerate(self.charts):
            chart.refill(lambda chart=chart, number=number: self._fill(chart, number))  # type: ignore[misc]
            if is_urgent:
                chart.draw_last()
            else:
                chart.request_redraw()

    def on_resize(self, event: events.Resize) -> None:
        """Lay the charts out for another size."""
        if self._reader is not None:
            self._arrange()

    def focused_number(self) -> int:
        """Number of the focused chart; the first if none is."""
        charts = self.charts
        return next((number for number, chart in enumerate(charts) if chart.has_focus), 0)

    def choose(self, names: Sequence[str] | None, *, focus: int = 0) -> None:
        """Show these metrics, and focus one of the charts."""
        self.choice.names = None if names is None else list(names)[:MOST_CHARTS]
        if self._reader is not None:
            self.show(self._reader, is_urgent=True, has_event_list=self._has_event_list)
        charts = self.charts
        charts[min(max(focus, 0), len(charts) - 1)].focus()

    def change_x_axis(self) -> Axis:
        """Count epochs instead of steps, time instead of epochs, steps instead of time."""
        self.choice.x_axis = next_axis(self.choice.x_axis)
        for chart in self.charts:
            chart.adjust(View(), chart.smoothing)
        if self._reader is not None:
            self.show(self._reader, is_urgent=True, has_event_list=self._has_event_list)
        return self.choice.x_axis

    @on(Chart.Adjusted)
    def _adjust_all(self, message: Chart.Adjusted) -> None:
        """Give all charts the range, the cursor and the smoothing of the one that the user has changed."""
        self.choice.smoothing = message.chart.smoothing
        for chart in self.charts:
            chart.adjust(message.chart.view, message.chart.smoothing)

    def _arrange(self) -> None:
        """Make as many charts as are shown, and lay them out."""
        assert self._reader is not None
        width, height = self.size
        if not width or not height:
            return
        names = self.choice.names
        if names is None:
            found = charted_metrics(self._reader)
            names = automatic_choice(self._reader, found, charts_that_fit(width, height)) or ["loss"]
        if names != self._names:
            self._names = list(names)
            self._make(len(names))
        columns = grid_columns(len(names), width)
        rows = -(-len(names) // columns)
        self.styles.grid_size_columns, self.styles.grid_size_rows = columns, rows
        self.styles.grid_rows = "1fr" if rows * _LOWEST <= height or rows == 1 else str(_LOWEST)

    def _make(self, count: int) -> None:
        charts = self.charts
        for chart in charts[count:]:
            chart.remove()
        for _ in range(count - len(charts)):
            self.mount(self._made())
        for chart in charts[:count]:
            chart.budget = _BUDGET / count

    def _made(self) -> Chart:
        chart = Chart(x_label="step", empty=_NO_STEPS)
        chart.set_reactive(Chart.smoothing, self.choice.smoothing)
        return chart

    def _fill(self, chart: Chart, number: int) -> None:
        reader = self._reader
        if reader is None or number >= len(self._names):
            return
        name = self._names[number]
        metric = chosen_metric(reader, name, charted_metrics(reader))
        if metric is None:
            chart.title = title_of(name)
            chart.keep_series(())
            chart.empty = f"this run has not recorded it yet: e chooses another, of {printable(reader.path.name)}"
            return
        if chart.title != metric.title:
            chart.keep_series(())
        chart.title, chart.empty = metric.title, _NO_STEPS
        chart.x_label = self._fill_lines(chart, metric, reader)

    def _fill_lines(self, chart: Chart, metric: ChartedMetric, reader: RunView) -> str:
        """Set the lines and marks of a chart. Returns the unit of its x axis."""
        import numpy as np

        axis = self.choice.x_axis
        (last,) = positions(reader, np.array([float(reader.progress().step)]), axis)
        label, size = axis_unit(axis, float(last))
        legends = []
        for line in metric.lines:
            x, y = line.points(reader)
            if len(x):
                legends.append(line.legend)
                at = positions(reader, x, axis) / size
                chart.set_series(line.legend, at, y, line.color, is_smoothed=line.is_smoothed)
        chart.keep_series(legends)
        happened = reader.events()
        letters = marks(happened)
        marked = positions(reader, np.array([step for step, _ in letters], dtype=np.float64), axis) / size
        placed = zip(marked.tolist(), letters, strict=True)
        chart.set_marks([(at, letter) for at, (_, letter) in placed if math.isfinite(at)])
        is_first = chart is self.charts[0]
        chart.note = letters_legend(happened) if is_first and not self._has_event_list else ""
        return label
