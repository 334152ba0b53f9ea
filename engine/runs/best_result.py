"""Find the best result of a run in its records."""

from __future__ import annotations

import math

from ..metric_names import AUTO
from .on_disk.metrics_record import ResultRecord
from .on_disk.state_file import BestResult


def best_of(record: ResultRecord, metric: str) -> BestResult:
    """A record of an evaluation that was the best so far as `metric`, `value`, `epoch` and `step`.

    Args:
        record: record of kind "epoch" or "evaluation"; its `rated` names the metric that judged it.
        metric: metric of the config, if the record doesn't name one.
    """
    rated = record.get("rated")
    if not isinstance(rated, dict) or not {"metric", "value"} <= rated.keys():
        name = "accuracy" if metric == AUTO else metric
        rated = {"metric": name, "value": record["validation"].get(name, math.nan)}
    return {**rated, "epoch": record["epoch"], "step": record["step"]}
