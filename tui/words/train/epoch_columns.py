"""The columns of a table of epochs: the loss, the two most telling metrics of the targets, and the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torchdeck.engine.metric_names import METRICS

from ..metric_text import metric_text, metric_title

# Of a metric with a figure per class, a table has room for the first; an evaluation shows all.
_OWN_METRICS = 4


@dataclass(frozen=True)
class Column:
    """A column with one figure per epoch.

    Attributes:
        part: section of an epoch's record with the figure: "train", "validation" or "ema".
        name: name of the metric.
        heading: title of the column.
    """

    part: str
    name: str
    heading: str

    def text(self, record: Mapping[str, Any]) -> str:
        """The figure of an epoch as text; "–" if it was not measured."""
        return metric_text(self.name, (record.get(self.part) or {}).get(self.name))


def epoch_columns(records: Sequence[Mapping[str, Any]], score: str, headline: str) -> list[Column]:
    """Choose the columns for a run's epoch records.

    Args:
        records: its epochs.
        score: what every training step measures beside its loss; see `RunReader.score`.
        headline: metric that says most of the run; see `RunReader.headline`.
    """
    parts = [record[part] for part in ("validation", "train") for record in records if record.get(part)]
    measured: Mapping[str, float] = parts[0] if parts else {}
    second = "r2" if score == "mae" else "macro_f1"
    is_counted = any(second in record["train"] for record in records)
    columns = [
        Column("train", "loss", "train loss"),
        Column("train", score, metric_title(score)),
        *([Column("train", second, metric_title(second))] if is_counted else []),
        Column("validation", "loss", "val. loss"),
        *(Column("validation", name, metric_title(name)) for name in dict.fromkeys((headline, score, second))),
    ]
    own = [name for name in measured if name not in METRICS and name != headline][:_OWN_METRICS]
    columns += [Column("validation", name, metric_title(name)) for name in own]
    if any(record.get("ema") for record in records):
        columns.append(Column("ema", headline, f"EMA {metric_title(headline)}"))
    return [column for column in columns if column.name == "loss" or not records or _is_measured(column, records)]


def _is_measured(column: Column, records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an epoch has this figure; programs that torchdeck only records measure what they like."""
    return any(column.name in (record.get(column.part) or {}) for record in records)
