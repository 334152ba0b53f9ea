"""Names and values of metrics as text, for every place that shows one."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from torchdeck.engine.metric_names import TRAINING_SCORE, metric

from .figures import percent

if TYPE_CHECKING:
    import numpy as np

    from torchdeck.engine.runs.on_disk.directory import RunSummary


_TITLE_CELLS = 11


def metric_title(name: str) -> str:
    """The metric's name as a heading of at most 11 characters."""
    title = metric(name).title
    return title if len(title) <= _TITLE_CELLS else f"{title[: _TITLE_CELLS - 1]}…"


def short_title(name: str, cells: int = 8) -> str:
    """The metric's name as the heading of a narrow column."""
    title = "acc." if name == "accuracy" else metric_title(name)
    return title if len(title) <= cells else f"{title[: cells - 1]}…"


def metric_text(name: str, value: float | None, digits: int = 4) -> str:
    """Write a value: a share in percent, others with `digits` digits; "–" if it is unknown.

    Trailing zeros are kept, so that the values of a column have the same length.
    """
    if metric(name).is_share:
        return percent(value)
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:#.{digits}g}".removesuffix(".")


def headline_metric(metrics: Collection[str], best: Mapping[str, Any] | None) -> str:
    """The metric that says most of a run besides its loss, where only its summary is read; see `RunReader.headline`.

    Args:
        metrics: names of what an evaluation of the run measured.
        best: best result, as a summary has it.
    """
    deciding = str((best or {}).get("metric", ""))
    if deciding and deciding != "loss":
        return deciding
    return next((score for score in TRAINING_SCORE.values() if score in metrics), TRAINING_SCORE["classes"])


def headline_metrics(runs: Iterable[RunSummary]) -> frozenset[str]:
    """The metrics that say most of these runs; of those that were measured."""
    return frozenset(headline_metric(run.metrics, run.best) for run in runs if run.metrics)


def best_words(best: Mapping[str, Any]) -> str:
    """Write a run's best result, from `RunReader.best`: accuracy 97.29% in epoch 5."""
    name = str(best["metric"])
    return f"{metric(name).title} {metric_text(name, best['value'])} in epoch {best['epoch']}"


def chart_title(name: str) -> str:
    """A metric's title over a chart, with the unit of a share."""
    return f"{metric(name).title}{' %' if metric(name).is_share else ''}"


def charted(name: str, values: np.ndarray) -> np.ndarray:
    """A metric's values as a chart draws them: shares in percent."""
    return values * 100 if metric(name).is_share else values
