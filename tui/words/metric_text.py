"""How a metric is called and its value written, wherever one is on the screen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torchdeck.engine.metric_names import metric

from .figures import percent

if TYPE_CHECKING:
    import numpy as np


def metric_title(name: str) -> str:
    """Its name as a heading, of at most 11 characters."""
    return metric(name).title


def metric_text(name: str, value: float | None, digits: int = 4) -> str:
    """A value as it reads best, "–" when it is not known: a share in percent, all else with so many digits.

    Zeros at the end are kept, so that the values of a column are of one length.
    """
    if metric(name).is_share:
        return percent(value)
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:#.{digits}g}".removesuffix(".")


def best_words(best: Mapping[str, Any]) -> str:
    """A run's best result, as `RunReader.best` gives it: accuracy 97.29% in epoch 5."""
    name = str(best["metric"])
    return f"{metric_title(name)} {metric_text(name, best['value'])} in epoch {best['epoch']}"


def charted(name: str, values: np.ndarray) -> tuple[str, np.ndarray]:
    """A metric's title and values for a chart: shares are drawn in percent."""
    if metric(name).is_share:
        return f"{metric_title(name)} %", values * 100
    return metric_title(name), values
