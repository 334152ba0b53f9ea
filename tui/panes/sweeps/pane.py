"""The sweeps pane: a study while it runs. Its trials, the best so far, what matters, and how values go together."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical

from torchdeck.engine.errors import TorchdeckError

from ...drawing import name
from ...keys.bindings import bindings
from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...widgets.charts.chart import Chart
from ...widgets.charts.drawn_canvas import parallel_lines, point_lines
from ...widgets.panel import Lines, nothing_here
from ...widgets.rows import Rows
from ...widgets.table import layout
from ...words.metric_text import chart_title, charted
from ...words.sweeps.study_text import (
    TrialRow,
    front_points,
    importance_lines,
    parallel_axes,
    study_lines,
    study_title,
    trial_columns,
    trials_in_order,
)
from ...words.sweeps.trial_text import setting_columns
from .actions import SweepActions

if TYPE_CHECKING:
    from torchdeck.engine.sweeps.report import SweepReport

_LOOK_EVERY = 1.0
_FEWEST_RESULTS = 4


class TrialTable(Rows):
    """The trials; keys act on the one under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("trial_table")

    def action_show(self) -> None:
        """Let the pane show the trial's run."""
        self.screen.query_one(SweepsPane).action_show_run()


class SweepsPane(SweepActions):
    """Reads the newest sweep, or the chosen one, once a second while it is shown, in a thread."""

    DEFAULT_CSS = Path(__file__).with_suffix(".tcss").read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = bindings("sweeps")
    VIEWS: ClassVar[tuple[str, ...]] = ("trials", "plots", "parallel")
    BEGINS_IN: ClassVar[str] = "#trials"

    def __init__(self, worker: WorkerProcess, runs_root: Path, id: str | None = None) -> None:
        super().__init__(runs_root, id=id)
        self._worker = worker
        self._rows: list[TrialRow] = []
        self._by_number = False
        self._shares: dict[str, float] = {}
        self._shares_note = ""
        self._shares_of: tuple[str, int] = ("", -1)

    def compose(self) -> ComposeResult:
        """Lay out the study above its trials, with the plots beside and below them."""
        with Vertical():
            yield Lines("Sweep", id="study")
            with Horizontal():
                yield TrialTable("Trials", id="trials", classes="-lead")
                with Vertical(id="plots"):
                    yield Chart("", empty="no result yet", x_label="trial", id="best_so_far")
                    yield Lines("Importance", id="importance")
            yield Lines("Parallel coordinates", id="parallel")

    def on_mount(self) -> None:
        """Look once a second while the pane is shown."""
        self.set_interval(_LOOK_EVERY, self._look_when_seen)

    def on_show(self, event: events.Show) -> None:
        """Read at once when the pane is opened."""
        self.look_again()

    @property
    def chosen(self) -> TrialRow | None:
        """The trial under the cursor."""
        at = self.query_one(TrialTable).cursor
        return self._rows[at] if 0 <= at < len(self._rows) else None

    def _look_when_seen(self) -> None:
        if self.is_on_screen:
            self.look_again()

    @work(exclusive=True, group="look")
    async def look_again(self) -> None:
        """Read what is new, and show it."""
        try:
            report = await asyncio.to_thread(self.read)
        except TorchdeckError as error:
            self._show_nothing("✗ The sweep can't be read", str(error))
            return
        if report is None:
            self._show_nothing("No sweep yet", "torchdeck sweep FILE.toml starts one.")
            return
        self._show(report)
        self._ask_for_importance(report)

    def action_sort(self) -> None:
        """By value, or by number."""
        if (report := self._sweep()) is not None:
            self._by_number = not self._by_number
            self._show_trials(report)

    def _show_nothing(self, what: str, why: str) -> None:
        self._rows = []
        self.query_one("#study", Lines).entitle("Sweep")
        self.query_one("#study", Lines).show(lambda width, height: [])
        ways = [("o", "begins one from a file, or opens another"), ("3", "changes the draft's settings")]
        empty = nothing_here(name(what, 60), name(why, 100), ways)
        self.query_one(TrialTable).set_rows(0, lambda index, width: "", empty=empty, position="")
        for panel in ("#importance", "#parallel"):
            self.query_one(panel, Lines).show(lambda width, height: [])

    def _show(self, report: SweepReport) -> None:
        study = self.query_one("#study", Lines)
        study.entitle(study_title(report))
        study.show(lambda width, height: study_lines(report, width))
        self._show_trials(report)
        self._show_best(report)
        self._show_plots(report)

    def _show_trials(self, report: SweepReport) -> None:
        table, chosen = self.query_one(TrialTable), self.chosen
        self._rows = trials_in_order(report, by_number=self._by_number)
        columns, rows = trial_columns(report), self._rows
        numbers = [row.trial.number for row in rows]
        at = numbers.index(chosen.trial.number) if chosen is not None and chosen.trial.number in numbers else None
        sweep = report.definition.sweep
        how = f"{sweep.sampler}, {sweep.pruner if sweep.pruner != 'none' else 'no pruner'}"
        order = "trial" if self._by_number else "value"
        table.set_rows(
            len(rows),
            lambda index, width: layout(columns, width).line(rows[index]),
            head=lambda width: [layout(columns, width).head(order)],
            cursor=at,
            empty=nothing_here("No trial yet", "", [("e", "starts workers")]),
            position=lambda at: f"{at + 1:,} of {len(rows):,} · {how}" if rows else how,
        )

    def _show_best(self, report: SweepReport) -> None:
        chart, first = self.query_one("#best_so_far", Chart), report.definition.objectives[0]
        chart.title = chart_title(first.name)
        import numpy as np

        steps = report.best_so_far()
        results = [trial for trial in report.trials if trial.state == "complete" and trial.values]
        last = max((trial.number for trial in results), default=0)
        x = np.array([position for number, _ in steps for position in (number, number)][1:] + [last] * bool(steps))
        y = np.array([value for _, value in steps for _ in (0, 1)])
        points = charted(first.name, np.array([trial.values[0] for trial in results], dtype=np.float64))
        chart.set_series("trial", [trial.number for trial in results], points, "$series-1", is_smoothed=False)
        chart.set_series("best so far", x.astype(np.float64), charted(first.name, y), "$best", is_smoothed=False)
        chart.request_redraw()

    def _show_plots(self, report: SweepReport) -> None:
        importance = self.query_one("#importance", Lines)
        parallel = self.query_one("#parallel", Lines)
        if len(report.definition.objectives) > 1:
            points, labels = front_points(report)
            one, other = (each.name for each in report.definition.objectives[:2])
            importance.entitle("Pareto front", f"{name(one)} →  {name(other)} ↑")
            importance.show(lambda width, height: point_lines(points, labels, width, height))
        else:
            titles, shares, note = setting_columns(report.definition), self._shares, self._shares_note
            importance.entitle("Importance", "PED-ANOVA")
            importance.show(
                lambda width, height: (
                    importance_lines(shares, titles, width) if shares else [f"[$text-muted]{name(note, width)}[/]"]
                )
            )
        axes, lines = parallel_axes(report)
        parallel.entitle("Parallel coordinates  [not bold $best]━ best[/]  [not bold $series-1]━ next three[/]")
        parallel.show(lambda width, height: parallel_lines(axes, lines, width, height))

    def _ask_for_importance(self, report: SweepReport) -> None:
        """Have it computed where there are further results."""
        results = report.counts().get("complete", 0)
        wanted = (str(report.folder.path), results)
        if wanted == self._shares_of or len(report.definition.objectives) > 1:
            return
        if wanted[0] != self._shares_of[0]:
            self._shares = {}
        self._shares_of = wanted
        self._shares_note = f"from {_FEWEST_RESULTS} results on" if results < _FEWEST_RESULTS else "computing …"
        if results >= _FEWEST_RESULTS:
            self._compute_importance(report.folder.path)

    @work(exclusive=True, group="importance")
    async def _compute_importance(self, path: Path) -> None:
        try:
            self._shares = await self._worker.call(worker_calls.SETTING_IMPORTANCES, path)
            self._shares_note = "the results are all alike"
        except (TorchdeckError, WorkerError) as error:
            self._shares, self._shares_note = {}, str(error)
        if self.report is not None and self.is_on_screen:
            self._show_plots(self.report)
