"""What earlier runs used for a setting, with their results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...config.secret_keys import is_hidden
from ...metric_names import metric
from .run_catalog import RunCatalog

_NEWEST = 200


@dataclass(frozen=True)
class PastRun:
    """A run that has a result.

    Attributes:
        name: name of its directory.
        settings: its config by dotted key.
        metric: metric that its best epoch is judged by.
        best: value of that metric in its best epoch.
    """

    name: str
    settings: Mapping[str, Any]
    metric: str
    best: float


@dataclass(frozen=True)
class UsedValue:
    """A value of a setting with the best result of any run that had it.

    Attributes:
        value: the value as the run's config holds it; None if it does not name the setting.
        metric: metric of the result.
        best: the result.
        runs: number of runs with this value.
    """

    value: Any
    metric: str
    best: float
    runs: int


def past_runs(catalog: RunCatalog) -> list[PastRun]:
    """The newest runs of a folder that have a result, the newest first. Reads their configs once each."""
    # A damaged config has no settings, and so is of no use here.
    runs = catalog.look(most_parsed=0)[:_NEWEST]
    return [
        PastRun(run.name, catalog.settings(run), run.best["metric"], run.best["value"])
        for run in runs
        if run.best is not None and math.isfinite(run.best["value"])
    ]


def used_values(runs: Sequence[PastRun], key: str, dataset: str) -> list[UsedValue]:
    """The values of a setting in runs on one data set, best result first.

    Results are compared by the metric of the newest of these runs; runs judged by another one are left out, and so
    are those whose value is a secret.

    Args:
        runs: runs, the newest first.
        key: dotted key, such as "optimizer.lr".
        dataset: name of the data set.
    """
    comparable = [run for run in runs if run.settings.get("data.dataset") == dataset]
    comparable = [run for run in comparable if run.metric == comparable[0].metric]
    by_value: dict[Any, list[float]] = {}
    for run in comparable:
        value = run.settings.get(key)
        if not is_hidden(key, value):
            by_value.setdefault(value, []).append(run.best)
    if not by_value:
        return []
    name = comparable[0].metric
    is_larger_better = metric(name).larger_is_better
    best_of = max if is_larger_better else min
    used = [UsedValue(value, name, best_of(results), len(results)) for value, results in by_value.items()]
    return sorted(used, key=lambda each: each.best, reverse=is_larger_better)
