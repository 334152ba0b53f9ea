"""The best result of a run, as its records tell it."""

from __future__ import annotations

import math

from ..metric_names import AUTO
from .on_disk.metrics_record import ResultRecord
from .on_disk.state_file import BestResult


def best_of(record: ResultRecord, metric: str) -> BestResult:
    """A record of an evaluation that was the best so far as `metric`, `value`, `epoch` and `step`.

    Args:
        record: of kind "epoch" or "evaluation"; its `rated` says by what it was judged.
        metric: of the config, where the record doesn't say.
    """
    rated = record.get("rated")
    if not isinstance(rated, dict) or not {"metric", "value"} <= rated.keys():
        name = "accuracy" if metric == AUTO else metric
        rated = {"metric": name, "value": record["validation"].get(name, math.nan)}
    return {**rated, "epoch": record["epoch"], "step": record["step"]}
