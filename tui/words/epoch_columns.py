"""What a table of epochs shows: the loss, and the two metrics that tell most of the run's targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .metric_text import metric_text, metric_title


@dataclass(frozen=True)
class Column:
    """A figure of every epoch.

    Attributes:
        part: "train", "validation" or "ema": where it stands in an epoch's record.
        name: of the metric.
        heading: above it.
    """

    part: str
    name: str
    heading: str

    def text(self, record: Mapping[str, Any]) -> str:
        """The figure of an epoch; "–" where it was not measured."""
        return metric_text(self.name, (record.get(self.part) or {}).get(self.name))


def epoch_columns(records: Sequence[Mapping[str, Any]]) -> list[Column]:
    """The columns for the records of a run's epochs."""
    measured: Mapping[str, float] = next((record["validation"] for record in records if record.get("validation")), {})
    score, second = ("mae", "r2") if "mae" in measured else ("accuracy", "macro_f1")
    columns = [
        Column("train", "loss", "train loss"),
        Column("train", score, metric_title(score)),
        Column("validation", "loss", "val. loss"),
        Column("validation", score, metric_title(score)),
        Column("validation", second, metric_title(second)),
    ]
    if any(record.get("ema") for record in records):
        columns.append(Column("ema", score, f"EMA {metric_title(score)}"))
    return columns
