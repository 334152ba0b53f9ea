"""The two charts of the train pane: their metrics, x axis and visible range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container

from ..widgets.charts.chart import Chart
from ..widgets.charts.chart_view import View
from ..words.metric_text import charted

if TYPE_CHECKING:
    from torchdeck.engine.runs.reader import RunReader

_RATE = "lr"
_SPLITS = (("train", "train", "$primary"), ("validation", "val.", "$warning"))


class RunCharts(Container):
    """The loss and one other metric; every action applies to both charts.

    Attributes:
        chosen: metric of the second chart; empty for the one that is measured at every step.
        is_over_epochs: whether the x axis counts epochs instead of optimizer steps.
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.chosen = ""
        self.is_over_epochs = False

    def compose(self) -> ComposeResult:
        """Lay out the two charts; the pane decides whether side by side or stacked."""
        yield Chart("loss", x_label="step", budget=0.005, id="loss")
        yield Chart("accuracy", x_label="step", budget=0.005, id="accuracy")

    def clear(self) -> None:
        """Remove the run's curves."""
        for chart in self.query(Chart):
            chart.clear()

    def show(self, reader: RunReader, marks: Sequence[tuple[float, str]]) -> None:
        """Show the curves of a run as of the reader's last poll.

        Args:
            reader: reader of the run.
            marks: optimizer steps of events, each with a letter.
        """
        self._fill(self.query_one("#loss", Chart), "loss", reader, marks)
        name = self.chosen if self.chosen in choices(reader) else reader.score
        self._fill(self.query_one("#accuracy", Chart), name, reader, marks)

    def choose_next(self, reader: RunReader, by: int) -> None:
        """Show the run's next or previous metric in the second chart."""
        names = choices(reader)
        at = names.index(self.chosen) if self.chosen in names else 0
        self.chosen = names[(at + by) % len(names)]

    def enlarge(self) -> None:
        """Maximize the first chart, then the second, then show both again."""
        charts = list(self.query(Chart))
        shown = [chart.display for chart in charts]
        after = {(True, True): (True, False), (True, False): (False, True)}.get((shown[0], shown[1]), (True, True))
        for chart, is_shown in zip(charts, after, strict=True):
            chart.display = is_shown

    def change_unit(self) -> None:
        """Switch the x axis between steps and epochs."""
        self.is_over_epochs = not self.is_over_epochs
        for chart in self.query(Chart):
            chart.clear()

    async def act(self, action: str) -> None:
        """Apply a chart action to both charts."""
        first, second = self.query(Chart)
        await first.run_action(action)
        if first.view != View() or second.view != View():
            second.view = first.view
        second.log_y, second.smoothing = first.log_y, first.smoothing

    def _fill(self, chart: Chart, name: str, reader: RunReader, marks: Sequence[tuple[float, str]]) -> None:
        import numpy as np

        # Until the number of steps per epoch is known, the axis can only count steps.
        scale = (reader.progress().steps_per_epoch if self.is_over_epochs else 0) or 1
        chart.x_label = "epoch" if scale > 1 else "step"
        if chart.title != charted(name, np.empty(0))[0]:
            # Lines keep the order in which they first appeared.
            chart.keep_series(())
        legends = []
        for split, legend, color in _SPLITS:
            series = _RATE if name == _RATE and split == "train" else f"{split}/{name}"
            if series not in reader.series_names:
                continue
            x, y = reader.series(series)
            chart.title, y = charted(name, y)
            is_of_steps = split == "train" and name in ("loss", reader.score)
            if len(x):
                legends.append(legend)
                chart.set_series(legend, x / scale, y, color, is_smoothed=is_of_steps)
        chart.keep_series(legends)
        chart.set_marks([(step / scale, letter) for step, letter in marks])


def choices(reader: RunReader) -> list[str]:
    """The metrics that the second chart can show: per step, per evaluation, and the learning rate."""
    evaluated = [name.removeprefix("validation/") for name in reader.series_names if name.startswith("validation/")]
    measured = [name for name in evaluated if name != "loss" and len(reader.series(f"validation/{name}")[0])]
    return list(dict.fromkeys([reader.score, *measured, _RATE]))
