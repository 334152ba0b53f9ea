"""Runs and checkpoints as rows of a table: choosing the columns that fit, and writing the cells."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rich.text import Text

from ..plain_text import printable
from .figures import byte_size, figure, rough_duration
from .metric_text import metric_text, metric_title, score_name, short_title
from .run_text import STATUS_STYLES

if TYPE_CHECKING:
    from torchdeck.engine.runs.browsing.run_catalog import RunExtent
    from torchdeck.engine.runs.on_disk.directory import RunSummary
    from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo

_CELL_PADDING = 2
_SCROLLBAR = 1
_BARS = "▁▂▃▄▅▆▇█"
_UNKNOWN = "–"
# At this width and above, the name of a run includes its date.
_DATED_WIDTH = 100
_ADDED = re.compile(r"-\d{8}-\d{6}-([0-9a-f]{4})\Z")


@dataclass(frozen=True)
class RunRow:
    """The data of one line in the list of runs.

    Attributes:
        run: summary of the run.
        extent: size on the disk; None until it was measured.
        settings: config by dotted key; empty until it was read.
        now: current time in seconds since 1970, for the run's age.
    """

    run: RunSummary
    extent: RunExtent | None = None
    settings: Mapping[str, Any] | None = None
    now: float = 0.0

    def is_made_from(self, run: RunSummary, extent: RunExtent | None, settings: Mapping[str, Any] | None) -> bool:
        """Whether the line was made from these same objects."""
        return self.run is run and self.extent is extent and self.settings is settings


@dataclass(frozen=True)
class CheckpointRow:
    """The data of one line in the list of checkpoints: the checkpoint, and the current time for its age."""

    checkpoint: CheckpointInfo
    now: float


RowT = TypeVar("RowT")


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """A column of a table.

    Attributes:
        title: heading of the column.
        width: width in cells.
        cell: function that writes the cell of a row.
        from_width: minimum width of the pane to show the column.
        below_width: the column is shown only in panes narrower than this; 0 for no limit.
        is_wide: whether it takes the rest of the line.
        order: name of the order that its heading sorts by; empty for none.
    """

    title: str
    width: int
    cell: Callable[[RowT], Text]
    from_width: int = 0
    below_width: int = 0
    is_wide: bool = False
    order: str = ""


def columns_for(columns: Sequence[Column[RowT]], width: int) -> list[Column[RowT]]:
    """Choose the columns that fit into a pane of this width."""
    return [column for column in columns if column.from_width <= width < (column.below_width or width + 1)]


def widths_for(columns: Sequence[Column[RowT]], width: int) -> list[int]:
    """Choose widths that fill a line: the wide column takes the rest, but never less than its own width."""
    taken = sum(column.width for column in columns) + _CELL_PADDING * len(columns) + _SCROLLBAR
    rest = max(0, width - taken)
    return [column.width + rest * column.is_wide for column in columns]


def cells_of(row: RowT, columns: Sequence[Column[RowT]]) -> tuple[Text, ...]:
    """Write a row's cells, in the order of the columns."""
    return tuple(column.cell(row) for column in columns)


def loss_bars(values: Sequence[float], width: int) -> str:
    """Draw losses as bars, scaled from smallest to largest; "✗" is a NaN or infinite loss."""
    count = min(width, len(values))
    picked = [values[index * (len(values) - 1) // max(1, count - 1)] for index in range(count)]
    finite = [value for value in picked if math.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    span = high - low
    return "".join(
        _BARS[round((value - low) / span * (len(_BARS) - 1)) if span > 0 else 0] if math.isfinite(value) else "✗"
        for value in picked
    )


def best_value(run: RunSummary) -> str:
    """Write a run's best result in its own unit."""
    return metric_text(run.best["metric"], run.best["value"]) if run.best else _UNKNOWN


def checkpoint_marks(checkpoint: CheckpointInfo) -> Text:
    """Mark a checkpoint as best, newest or pinned."""
    marks = Text("★" if checkpoint.is_best else " ", style="green")
    return marks.append(" last" * checkpoint.is_last, style="dim").append(" pin" * checkpoint.is_pinned, style="cyan")


def _name(text: str) -> Text:
    return Text(printable(text), no_wrap=True, overflow="ellipsis")


def _short_name(name: str) -> Text:
    """Shorten a run's name: the given name, and of the suffix only the number that makes it unique."""
    found = _ADDED.search(name)
    return _name(name[: found.start()]).append(f" {found[1]}", style="dim") if found else _name(name)


def _loss(row: RunRow, cells: int) -> Text:
    return Text(loss_bars(row.extent.losses, cells) if row.extent else "", style="cyan")


def _setting(key: str) -> Callable[[RunRow], Text]:
    def cell(row: RunRow) -> Text:
        value = row.settings.get(key) if row.settings is not None else None
        if isinstance(value, float):
            return Text(figure(value))
        return _name(str(value)) if value is not None else Text("")

    return cell


def _run_score(row: RunRow) -> Text:
    name = score_name(row.run.metrics, row.run.best)
    return Text(metric_text(name, row.run.metrics.get(name)))


def _named_run_score(row: RunRow) -> Text:
    name = score_name(row.run.metrics, row.run.best)
    return _name(f"{short_title(name)} {_run_score(row)}" if row.run.metrics else _UNKNOWN)


def _score_column(scores: Collection[str]) -> Column[RunRow]:
    """The column of the metric that says most of a run: where they are several, each cell names its own."""
    if len(scores) > 1:
        return Column("score", 14, _named_run_score)
    name = next(iter(scores), "")
    title = metric_title(name) if name else "score"
    return Column(title, max(8, len(title)), _run_score, order=name)


def run_columns(scores: Collection[str]) -> tuple[Column[RunRow], ...]:
    """The columns of a list of runs. `scores`: the metrics that say most of them; see `measured_scores`."""
    before, after = _RUN_COLUMNS
    return (*before, _score_column(scores), *after)


_RUN_COLUMNS: tuple[tuple[Column[RunRow], ...], tuple[Column[RunRow], ...]] = (
    (
        Column("run", 18, lambda row: _short_name(row.run.name), below_width=_DATED_WIDTH, is_wide=True, order="run"),
        Column("run", 18, lambda row: _name(row.run.name), from_width=_DATED_WIDTH, is_wide=True, order="run"),
        Column(
            "status", 9, lambda row: Text(row.run.status, style=STATUS_STYLES.get(row.run.status, "")), order="status"
        ),
        Column(
            "epoch",
            7,
            lambda row: _name(f"{row.run.epoch}/{row.run.epochs}" if row.run.epochs else "–"),
            order="epoch",
        ),
        Column("step", 9, lambda row: Text(f"{row.run.step:,}"), from_width=120, order="step"),
    ),
    (
        Column("best", 7, lambda row: Text(best_value(row.run)), from_width=100, order="best"),
        Column("loss", 7, lambda row: Text(metric_text("loss", row.run.metrics.get("loss"))), order="loss"),
        Column("", 6, lambda row: _loss(row, 6), below_width=_DATED_WIDTH),
        Column("", 10, lambda row: _loss(row, 10), from_width=_DATED_WIDTH),
        Column("model", 12, _setting("model.name"), from_width=150),
        Column("data", 12, _setting("data.dataset"), from_width=150),
        Column("lr", 7, _setting("optimizer.lr"), from_width=150),
        Column("size", 7, lambda row: Text(byte_size(row.extent.bytes) if row.extent else ""), from_width=120),
        Column("age", 4, lambda row: Text(rough_duration(max(0.0, row.now - row.run.modified))), order="age"),
    ),
)


def checkpoint_columns(score: str) -> tuple[Column[CheckpointRow], ...]:
    """The columns of a list of a run's checkpoints. `score`: the metric that says most of it."""
    return (
        Column("checkpoint", 17, lambda row: _name(row.checkpoint.file), is_wide=True),
        Column("epoch", 5, lambda row: Text(str(row.checkpoint.epoch))),
        Column("step", 7, lambda row: Text(f"{row.checkpoint.step:,}")),
        Column(short_title(score, 7), 7, lambda row: Text(metric_text(score, row.checkpoint.metrics.get(score)))),
        Column("loss", 6, lambda row: Text(metric_text("loss", row.checkpoint.metrics.get("loss"), digits=3))),
        Column("size", 7, lambda row: Text(byte_size(row.checkpoint.bytes))),
        Column("age", 4, lambda row: Text(rough_duration(max(0.0, row.now - row.checkpoint.modified)))),
        Column("saved", 12, lambda row: _name(row.checkpoint.reason or row.checkpoint.problem), from_width=120),
        Column("", 10, lambda row: checkpoint_marks(row.checkpoint)),
    )
