"""A sweep in words and pictures: how far it is, its trials as rows, what matters, and how values go together."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchdeck.engine.plurals import plural
from torchdeck.engine.sweeps.journal import Trial
from torchdeck.engine.sweeps.objective import Objective
from torchdeck.engine.sweeps.space import Dimension, encoded

from ...drawing import UNKNOWN, bar, fits, left, name, stacked, trace
from ...widgets.charts.drawn_canvas import ParallelAxis, RankedLine
from ...widgets.table import Column
from ..figures import rough_duration
from ..metric_text import metric_text, short_title
from .trial_text import setting_columns, setting_text, trial_state

if TYPE_CHECKING:
    from torchdeck.engine.sweeps.report import SweepReport

_TONES = {
    "running": ("●", "$success"),
    "complete": ("✓", "$text-muted"),
    "infeasible": ("▲", "$warning"),
    "pruned": ("✂", "$text-disabled"),
    "failed": ("✗", "$error"),
    "waiting": ("○", "$text-disabled"),
}
_SHARES = (
    ("complete", "$success"),
    ("pruned", "$series-7"),
    ("failed", "$error"),
    ("running", "$series-2"),
)
_NEXT_BEST = 3
# More lines than these are a surface.
_MOST_LINES = 200


@dataclass(frozen=True)
class TrialRow:
    """What a line of the table of trials is made from: the trial, and whether it is the best or in the front."""

    trial: Trial
    is_best: bool


def study_title(report: SweepReport) -> str:
    """Title of the panel about a sweep: its name, how it is, what it optimizes."""
    wish, live = report.folder.wish(), report.folder.is_worked_on()
    running = report.counts().get("running", 0)
    state = {
        (True, "work"): f"[$success]● {plural(running, 'trial')} running[/]",
        (True, "pause"): "[$warning]▲ paused: no further trial starts[/]",
        (True, "stop"): "[$warning]▲ saves and stops[/]",
    }.get((live, wish), "[$text-muted]■ no worker[/]")
    goals = ", ".join(f"{each.direction} {each.name}" for each in report.definition.objectives)
    return f"{name(report.folder.name)}  [not bold]{state}[/]  [not bold $text-muted]{name(goals)}[/]"


def study_lines(report: SweepReport, width: int) -> list[str]:
    """How far a sweep is, and what it has found."""
    counts, wanted = report.counts(), report.definition.trials
    ended = sum(count for state, count in counts.items() if state not in ("running", "waiting"))
    parts = [(counts.get(state, 0), color) for state, color in _SHARES]  # type: ignore[call-overload]
    parts.append((max(0, wanted - len(report.trials)), "$track"))
    line = stacked(parts, max(8, width - 34))
    head = f"trial [b]{ended}[/] [$text-muted]of {wanted}[/]  {line}"
    if left_over := _seconds_left(report, ended):
        head = fits(head, f"  [b]{rough_duration(left_over)}[/] left", width)
    words = [*(state for state, _ in _SHARES), "to come"]
    legend = "   ".join(
        f"[{color}]■[/] {word} [b]{count}[/]" for word, (count, color) in zip(words, parts, strict=True)
    )
    return [head, legend, _found(report, width)]


def _found(report: SweepReport, width: int) -> str:
    best = report.best()
    if reason := report.folder.wish_reason():
        return f"[$error]✗ {name(reason, width - 2)}[/]"
    if best is None:
        return "[$text-muted]no result yet[/]"
    values = zip(report.definition.objectives, best.values, strict=False)
    shown = ", ".join(f"[b $best]{metric_text(each.name, value)}[/]" for each, value in values)
    found = f"best {shown} [$text-muted]trial {best.number}[/]"
    titles = setting_columns(report.definition)
    for key, value in best.settings.items():
        found = fits(
            found, f"   [$text-muted]{name(titles.get(key, key))}[/] [b]{name(setting_text(value))}[/]", width
        )
    return found


def _seconds_left(report: SweepReport, ended: int) -> float:
    """Seconds until the end at the pace so far; 0 if unknown."""
    times = [trial.ended - trial.started for trial in report.trials if trial.ended > trial.started > 0]
    workers = max(1, report.counts().get("running", 0))
    rest = report.definition.trials - ended
    return rest * sum(times) / len(times) / workers if times and rest > 0 else 0.0


def trial_columns(report: SweepReport) -> list[Column[TrialRow]]:
    """The columns of the table of trials: number, state, results, what is varied, and the curve."""
    columns = [
        Column[TrialRow]("trial", "trial", 5, lambda row, width: f"[{_tone(row)}]{row.trial.number}[/]"),
        Column[TrialRow]("state", "state", 12, _state_cell, is_left=True),
    ]
    for at, objective in enumerate(report.definition.objectives):
        title = short_title(objective.name)
        columns.append(
            Column("value" if at == 0 else objective.name, title, max(8, len(title) + 2), _value(at, objective))
        )
    for rank, (key, title) in enumerate(setting_columns(report.definition).items(), start=2):
        columns.append(Column(key, title[:12], max(7, len(title[:12])), _setting(key), rank=rank))
    columns.append(Column("time", "time", 6, _time_cell, rank=30))
    columns.append(Column("curve", "curve", 10, _curve_cell, is_left=True, rank=31))
    return columns


def trials_in_order(report: SweepReport, *, by_number: bool) -> list[TrialRow]:
    """The trials: running ones first, then by value; or by their numbers, the newest first."""
    front = {trial.number for trial in report.front()} if len(report.definition.objectives) > 1 else set()
    best = report.best()
    chosen = front or ({best.number} if best is not None else set())
    first = report.definition.objectives[0]

    def rank(trial: Trial) -> tuple[float, ...]:
        if by_number:
            return (-trial.number,)
        value = trial.values[0] if trial.values else math.nan
        known = math.isfinite(value)
        order = {"running": 0, "complete": 1 if trial.is_feasible else 2, "pruned": 3}.get(trial.state, 4)
        return order, 0 if known else 1, (-value if first.is_maximized else value) if known else 0, -trial.number

    return [TrialRow(trial, trial.number in chosen) for trial in sorted(report.trials, key=rank)]


def _tone(row: TrialRow) -> str:
    return "$text-disabled" if row.trial.state in ("pruned", "failed", "waiting") else "$text"


def _state_cell(row: TrialRow, width: int) -> str:
    state = trial_state(row.trial)
    glyph, tone = _TONES[state]
    return f"[{tone}]{glyph} {left(state, width - 2)}[/]"


def _value(at: int, objective: Objective) -> Any:
    def cell(row: TrialRow, width: int) -> str:
        trial = row.trial
        value = trial.values[at] if at < len(trial.values) else math.nan
        if at == 0 and not trial.values and trial.reports:
            value = trial.reports[max(trial.reports)]
        if not math.isfinite(value):
            return UNKNOWN
        return f"[{'b $best' if row.is_best else _tone(row)}]{metric_text(objective.name, value)}[/]"

    return cell


def _setting(key: str) -> Any:
    def cell(row: TrialRow, width: int) -> str:
        if key not in row.trial.settings:
            return UNKNOWN
        return f"[{_tone(row)}]{name(setting_text(row.trial.settings[key]), width)}[/]"

    return cell


def _time_cell(row: TrialRow, width: int) -> str:
    trial = row.trial
    if not trial.started:
        return UNKNOWN
    return f"[$text-muted]{rough_duration(max(0.0, (trial.ended or time.time()) - trial.started))}[/]"


def _curve_cell(row: TrialRow, width: int) -> str:
    reports = [value for _, value in sorted(row.trial.reports.items())]
    return trace(reports, width, 1, "$text-disabled" if _tone(row) != "$text" else "$series-1")[0]


def importance_lines(shares: Mapping[str, float], titles: Mapping[str, str], width: int) -> list[str]:
    """A bar for each setting, the most important first."""
    label = min(14, max((len(titles.get(key, key)) for key in shares), default=0))
    return [
        f"{left(titles.get(key, key), label)} {bar(share, max(4, width - label - 7), '$series-4')} [b]{share:4.0%}[/]"
        for key, share in sorted(shares.items(), key=lambda each: -each[1])
    ]


def trial_details(trial: Trial, objectives: Sequence[Objective]) -> list[str]:
    """Everything that is known of a trial, in lines."""
    lines = [f"[b]{trial_state(trial)}[/]"]
    for objective, value in zip(objectives, trial.values, strict=False):
        lines.append(f"[$text-muted]{name(objective.name)}[/]  [b]{metric_text(objective.name, value)}[/]")
    lines += [
        f"[$text-muted]{name(key)}[/]  [b]{name(setting_text(value))}[/]" for key, value in trial.settings.items()
    ]
    lines += [f"[$warning]violates {name(text)}[/]" for text, excess in trial.excess.items() if excess > 0]
    lines += [f"[$text-muted]run[/]  {name(run)}" for run in trial.runs]
    attempts = trial.attributes.get("attempts", 0)
    lines.append(f"[$text-muted]started[/]  {plural(int(attempts), 'time')}")
    if trial.error:
        lines.append(f"[$error]✗ {name(trial.error)}[/]")
    return lines


def parallel_axes(report: SweepReport) -> tuple[list[ParallelAxis], list[RankedLine]]:
    """The complete trials across the settings and the first result; the best is on top."""
    results = [row.trial for row in trials_in_order(report, by_number=False) if row.trial.state == "complete"]
    results = results[:_MOST_LINES]
    first, titles = report.definition.objectives[0], setting_columns(report.definition)
    values = [trial.values[0] for trial in results]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    axes = [_axis(dimension, titles[dimension.key]) for dimension in report.definition.space]
    axes.append(ParallelAxis(short_title(first.name), metric_text(first.name, low), metric_text(first.name, high)))
    lines = [
        RankedLine(
            (*(_place(dimension, trial) for dimension in report.definition.space), _share(trial.values[0], low, high)),
            0 if at == 0 else 1 if at <= _NEXT_BEST else 2,
        )
        for at, trial in enumerate(results)
    ]
    return axes, lines


def front_points(report: SweepReport) -> tuple[list[RankedLine], list[str]]:
    """The complete trials by their first two results, the Pareto front on top, and the labels of the axes' ends."""
    results = [trial for trial in report.trials if trial.state == "complete" and len(trial.values) > 1]
    front = {trial.number for trial in report.front()}
    one, other = report.definition.objectives[:2]
    ends = []
    for at, objective in ((0, one), (1, other)):
        values = [trial.values[at] for trial in results] or [0.0]
        ends.append((min(values), max(values), objective))
    points = [
        RankedLine(
            tuple(_share(trial.values[at], low, high) for at, (low, high, _) in enumerate(ends)),
            0 if trial.number in front else 2,
        )
        for trial in results
    ]
    return points, [metric_text(objective.name, value) for low, high, objective in ends for value in (low, high)]


def _axis(dimension: Dimension, title: str) -> ParallelAxis:
    if dimension.kind == "choice":
        return ParallelAxis(title, setting_text(dimension.choices[0]), setting_text(dimension.choices[-1]))
    return ParallelAxis(title, f"{dimension.low:.3g}", f"{dimension.high:.3g}")


def _place(dimension: Dimension, trial: Trial) -> float:
    """Where a trial's value is on its axis, from 0 to 1; NaN where it has none, or one outside of the space now."""
    value = trial.settings.get(dimension.key)
    if value is None:
        return math.nan
    if dimension.kind == "choice":
        choices = [encoded(choice) for choice in dimension.choices]
        found = choices.index(encoded(value)) if encoded(value) in choices else -1
        return found / max(1, len(choices) - 1) if found >= 0 else math.nan
    if dimension.log:
        return _share(math.log(value), math.log(dimension.low), math.log(dimension.high)) if value > 0 else math.nan
    return _share(float(value), dimension.low, dimension.high)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5
