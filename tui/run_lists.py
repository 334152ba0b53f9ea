"""Runs and checkpoints as rows of a table: what stands in a cell, and how wide the columns are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from tui.run_text import STATUS_STYLES
from tui.text import byte_size, figure, percent, rough_duration
from tui.widgets.plain_text import printable

if TYPE_CHECKING:
    from engine.runs.checkpoint_index import CheckpointInfo
    from engine.runs.directory import RunSummary

_CELL_PADDING = 2
_SCROLLBAR = 1


@dataclass(frozen=True)
class Column:
    """A column: its title, its width in cells, and whether it takes what is left of the line."""

    title: str
    width: int
    is_wide: bool = False


RUN_COLUMNS = (
    Column("run", 24, is_wide=True),
    Column("status", 9),
    Column("epoch", 7),
    Column("accuracy", 8),
    Column("best", 7),
    Column("loss", 8),
)
CHECKPOINT_COLUMNS = (
    Column("checkpoint", 17, is_wide=True),
    Column("epoch", 5),
    Column("step", 8),
    Column("accuracy", 8),
    Column("loss", 8),
    Column("size", 7),
    Column("age", 4),
    Column("", 6),
)


def widths_for(columns: Sequence[Column], width: int) -> list[int]:
    """Widths that fill a line: the wide column takes the rest, but never less than its own width."""
    taken = sum(column.width for column in columns) + _CELL_PADDING * len(columns) + _SCROLLBAR
    rest = max(0, width - taken)
    return [column.width + rest * column.is_wide for column in columns]


def run_row(run: RunSummary) -> tuple[Text, ...]:
    """A run's cells, in the order of `RUN_COLUMNS`."""
    best = run.best or {}
    value = best.get("value")
    shown = "–"
    if isinstance(value, int | float):
        shown = figure(value) if best.get("metric") == "loss" else percent(value)
    return (
        Text(printable(run.name), no_wrap=True, overflow="ellipsis"),
        Text(run.status, style=STATUS_STYLES.get(run.status, "")),
        Text(f"{run.epoch}/{run.epochs}" if run.epochs else "–"),
        Text(percent(run.metrics.get("accuracy"))),
        Text(shown),
        Text(figure(run.metrics.get("loss"))),
    )


def checkpoint_row(checkpoint: CheckpointInfo, now: float) -> tuple[Text, ...]:
    """A checkpoint's cells, in the order of `CHECKPOINT_COLUMNS`.

    Args:
        checkpoint: what is known of it without loading it.
        now: seconds since 1970, for its age.
    """
    marks = Text("★" if checkpoint.is_best else " ", style="green").append(" last" * checkpoint.is_last, style="dim")
    return (
        Text(printable(checkpoint.file), no_wrap=True, overflow="ellipsis"),
        Text(str(checkpoint.epoch)),
        Text(f"{checkpoint.step:,}"),
        Text(percent(checkpoint.metrics.get("accuracy"))),
        Text(figure(checkpoint.metrics.get("loss"))),
        Text(byte_size(checkpoint.bytes)),
        Text(rough_duration(max(0.0, now - checkpoint.modified))),
        marks,
    )
