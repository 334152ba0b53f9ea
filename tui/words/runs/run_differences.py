"""What differs between runs: settings in columns of the colors of their curves, and what they reached."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchdeck.engine.config.secret_keys import REDACTED, is_hidden
from torchdeck.engine.metric_names import metric
from torchdeck.engine.user_path import user_path

from ...drawing import UNKNOWN, left, name, right
from ...widgets.table import aligned
from ..figures import duration, figure
from ..metric_text import metric_text, metric_title

_KEY_CELLS, _VALUE_CELLS, _MOST_VALUE_CELLS = 16, 9, 18
_GAP = 2
# The name and where a fork began differ between any two runs.
_NO_DIFFERENCE = ("name", "start_from")


@dataclass(frozen=True)
class ComparedRun:
    """A run, or the draft, in the comparison.

    Attributes:
        label: short name.
        color: theme variable of its curve; empty for none.
        settings: config by dotted key.
        best: metric and value of its best result; None if it has none.
        seconds: training time; NaN if unknown.
        samples_per_s: training samples per second; 0 if unknown.
    """

    label: str
    color: str
    settings: Mapping[str, Any]
    best: tuple[str, float] | None = None
    seconds: float = math.nan
    samples_per_s: float = 0.0


@dataclass(frozen=True)
class Difference:
    """A row: what is compared, the value of each run as text, and which of them is the best; -1 for none."""

    key: str
    values: tuple[str, ...]
    best: int = -1
    is_result: bool = False


def differences(runs: Sequence[ComparedRun]) -> list[Difference]:
    """Settings in which the runs differ, in the order of the first run's config, then what they reached."""
    keys = dict.fromkeys(key for run in runs for key in run.settings if key not in _NO_DIFFERENCE)
    rows = []
    for key in keys:
        values = [run.settings.get(key) for run in runs]
        if any(_same_form(value) != _same_form(values[0]) for value in values):
            rows.append(Difference(key, tuple(_written(key, value) for value in values)))
    return rows + _results(runs)


def _same_form(value: Any) -> Any:
    """A value as it is compared: a draft may write the home folder as `~`, a run has resolved it."""
    return str(user_path(value)) if isinstance(value, str) and value.startswith("~") else value


def _results(runs: Sequence[ComparedRun]) -> list[Difference]:
    rows = []
    for measured in dict.fromkeys(run.best[0] for run in runs if run.best is not None):
        reached = [run.best[1] if run.best is not None and run.best[0] == measured else math.nan for run in runs]
        known = [value for value in reached if math.isfinite(value)]
        best = -1
        if len(known) > 1 and len(set(known)) > 1:
            best = reached.index((max if metric(measured).larger_is_better else min)(known))
        values = tuple(metric_text(measured, value) for value in reached)
        rows.append(Difference(f"best {metric_title(measured)}", values, best, is_result=True))
    if any(run.samples_per_s for run in runs):
        rates = tuple(f"{run.samples_per_s:,.0f}" if run.samples_per_s else "–" for run in runs)
        rows.append(Difference("samples/s", rates, is_result=True))
    if any(math.isfinite(run.seconds) for run in runs):
        times = tuple(duration(run.seconds) if math.isfinite(run.seconds) else "–" for run in runs)
        rows.append(Difference("time", times, is_result=True))
    return rows


def _written(key: str, value: Any) -> str:
    if value is None or value == "":
        return "–"
    if is_hidden(key, value):
        return REDACTED
    if isinstance(value, bool):
        return str(value).lower()
    return figure(value) if isinstance(value, float) else str(value)


def columns_that_fit(runs: int, width: int) -> int:
    """Of how many runs the values have room."""
    return max(1, min(runs, (width - _KEY_CELLS) // (_VALUE_CELLS + _GAP)))


def head_line(runs: Sequence[ComparedRun], width: int) -> str:
    """The line of headings: the runs in the colors of their curves."""
    key, each = _cells(len(runs), width)
    cells = []
    for run in runs[: columns_that_fit(len(runs), width)]:
        mark = "━━ " if run.color else ""
        cells.append(f"[{run.color or '$text-muted'}]{right(mark + run.label, each)}[/]")
    return f"[$text-disabled]{left('setting', key)}[/]" + "".join(" " * _GAP + cell for cell in cells)


def difference_line(row: Difference, width: int) -> str:
    """A row as one line of markup."""
    key, each = _cells(len(row.values), width)
    shown = row.key if len(row.key) <= key else f"…{row.key[-(key - 1) :]}"
    line = f"[$text-muted]{left(shown, key)}[/]"
    for at, value in enumerate(row.values[: columns_that_fit(len(row.values), width)]):
        if value == "–":
            cell = UNKNOWN
        elif at == row.best:
            cell = f"[b $best]★ {name(value, each - 2)}[/]"
        else:
            cell = f"[{'$text-muted' if row.is_result and row.best < 0 else 'b'}]{name(value, each)}[/]"
        line += " " * _GAP + aligned(cell, each, is_left=False)
    return line


def _cells(runs: int, width: int) -> tuple[int, int]:
    """Widths of the key and of each value."""
    count = columns_that_fit(runs, width)
    each = max(_VALUE_CELLS, min(_MOST_VALUE_CELLS, (width - _KEY_CELLS) // count - _GAP))
    return max(8, width - count * (each + _GAP)), each
