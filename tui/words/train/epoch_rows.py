"""The epochs of a run as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...drawing import UNKNOWN
from ...widgets.table import Column
from ..figures import duration
from .epoch_columns import Column as MetricColumn
from .epoch_columns import epoch_columns

if TYPE_CHECKING:
    from torchdeck.engine.runs.on_disk.metrics_record import EpochRecord

# What is left out first where there is no room: by part and whether it is the loss.
_RANKS = {
    ("validation", False): 1,
    ("validation", True): 2,
    ("train", True): 3,
    ("train", False): 4,
    ("ema", False): 5,
}
_SECOND = 7  # a second metric of the validation
_TIME_RANK = 6


def epoch_table(records: Sequence[EpochRecord], score: str, headline: str) -> list[Column[EpochRecord]]:
    """The columns for a run's epoch records; see `epoch_columns`. The best epoch has a star."""
    best = max((record["epoch"] for record in records if record.get("is_best")), default=-1)
    columns: list[Column[EpochRecord]] = [Column("epoch", "epoch", 5, _number)]
    seen: set[tuple[str, bool]] = set()
    for column in epoch_columns(records, score, headline):
        kind = (column.part, column.name == "loss")
        rank = _SECOND if kind in seen else _RANKS.get(kind, _SECOND)
        columns.append(_figures(column, rank, best))
        seen.add(kind)

    def star(record: EpochRecord, width: int) -> str:
        return "[$best]★[/]" if record["epoch"] == best else ""

    return [*columns, Column("time", "time", 10, _time, rank=_TIME_RANK), Column("best", "", 1, star)]


def _figures(column: MetricColumn, rank: int, best: int) -> Column[EpochRecord]:
    def cell(record: EpochRecord, width: int) -> str:
        text = column.text(record)
        if text == "–":
            return UNKNOWN
        if column.part == "train":
            return f"[$text-muted]{text}[/]"
        return f"[b $best]{text}[/]" if record["epoch"] == best and rank == 1 else text

    width = max(len(column.heading), 8)
    return Column(f"{column.part}/{column.name}", column.heading, width, cell, rank=rank)


def _number(record: EpochRecord, width: int) -> str:
    return f"[b]{record['epoch']}[/]"


def _time(record: EpochRecord, width: int) -> str:
    return f"[$text-muted]{duration(record['seconds'])}[/]"
