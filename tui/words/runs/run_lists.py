"""Runs and checkpoints as rows of a table: which columns there are, and what their cells say."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchdeck.engine.runs.on_disk.directory import split_run_id

from ...drawing import UNKNOWN, cells, left, name, trace
from ...widgets.table import Column
from ..figures import byte_size, figure, rough_duration
from ..metric_text import headline_metric, metric_text, metric_title, short_title
from ..train.run_text import STATUS_TONES
from .seed_text import spread_text

if TYPE_CHECKING:
    from torchdeck.engine.runs.browsing.run_catalog import RunExtent
    from torchdeck.engine.runs.browsing.seed_groups import SeedGroup
    from torchdeck.engine.runs.on_disk.directory import RunSummary
    from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo

SERIES_COLORS = tuple(f"$series-{number}" for number in range(1, 9))
"""Colors of marked runs and of their curves, in the order in which they were marked."""

_TRACE_CELLS = 10


@dataclass(frozen=True)
class RunRow:
    """What a line of the table of runs is made from.

    Attributes:
        run: summary of the run.
        extent: size on the disk and losses; None until they were read.
        settings: config by dotted key; None until it was read.
        now: current time in seconds since 1970, for the run's age.
        color: theme variable of the run's curve; empty if it has none.
        is_best: whether its best value is the best of the runs on the same data.
        group: the runs that the line stands for, where it stands for several.
    """

    run: RunSummary
    extent: RunExtent | None = None
    settings: Mapping[str, Any] | None = None
    now: float = 0.0
    color: str = ""
    is_best: bool = False
    group: SeedGroup | None = None


@dataclass(frozen=True)
class CheckpointRow:
    """What a line of the table of checkpoints is made from: the checkpoint, the time, and whether it is marked."""

    checkpoint: CheckpointInfo
    now: float
    is_marked: bool = False


def curve_labels(run_ids: Sequence[str], width: int) -> list[str]:
    """Names that tell some runs apart: given names if all differ and have at most `width` cells, else the numbers.

    Where a run has no number, or two have the same, the names of the directories are left.
    """
    shorts = [split_run_id(run_id) for run_id in run_ids]
    for labels in ([given for given, _ in shorts], [number or given for given, number in shorts]):
        if len(set(labels)) == len(labels) and all(len(label) <= width for label in labels):
            return labels
    return list(run_ids)


def status_cell(status: str) -> str:
    """A status with its glyph, in its tone. What is as it should be is muted."""
    tone, glyph = STATUS_TONES.get(status, ("$text", "●"))
    return f"[{'$text-muted' if status == 'finished' else tone}]{glyph} {left(status, 9)}[/]"


def tag_words(tags: Collection[str]) -> str:
    """Tags as markup."""
    return " ".join(f"[$series-7]#{name(tag)}[/]" for tag in tags)


def best_value(run: RunSummary) -> str:
    """A run's best result in its own unit."""
    return metric_text(run.best["metric"], run.best["value"]) if run.best else "–"


def shared_metric(runs: Sequence[RunSummary]) -> str:
    """The metric by which all of these runs name their best; empty if they differ, or none has one."""
    metrics = {run.best["metric"] for run in runs if run.best}
    return metrics.pop() if len(metrics) == 1 else ""


def _name_cell(row: RunRow, width: int) -> str:
    """The name, whole if there is room, with the tags if there is room for those too."""
    given, number = split_run_id(row.run.name)
    if number and len(given) + 1 + len(number) > width:
        # The end tells runs of one name apart.
        given = f"{given[: max(1, width - len(number) - 2)]}…"
    if row.group is not None:
        number = f"×{len(row.group.runs)}"
    tail = f" [$text-muted]{number}[/]" if number else ""
    head = f"{name(given, width)}{tail}"
    tags = f"  {tag_words(row.run.tags)}" if row.run.tags else ""
    return f"{head}{tags}" if tags and cells(head + tags) <= width else head


def epochs_text(run: RunSummary) -> str:
    """Write how far a run is in epochs: 3/10; 3 where nothing says of how many; "–" where it counts none."""
    return f"{run.epoch}/{run.epochs}" if run.epochs else str(run.epoch or "–")


def _epoch_cell(row: RunRow, width: int) -> str:
    return f"[$text-muted]{epochs_text(row.run)}[/]" if row.run.epochs or row.run.epoch else UNKNOWN


def _best_cell(metric: str) -> Callable[[RunRow, int], str]:
    def cell(row: RunRow, width: int) -> str:
        if not row.run.best:
            return UNKNOWN
        own = row.run.best["metric"]
        title = f"[$text-muted]{name(short_title(own))}[/] " if not metric else ""
        if row.group is not None:
            spread = spread_text(own, row.group.best(), with_number=False)
            return f"[b]{name(spread if title or len(spread) <= width else best_value(row.run))}[/]"
        return f"{title}[{'b $best' if row.is_best else 'b'}]{best_value(row.run)}[/]"

    return cell


def _score_cell(metric: str) -> Callable[[RunRow, int], str]:
    """The newest value of the metric that says most of the run; its name where the runs differ in it."""

    def cell(row: RunRow, width: int) -> str:
        own = headline_metric(row.run.metrics, row.run.best)
        if own not in row.run.metrics:
            return UNKNOWN
        title = "" if metric == own else f"[$text-muted]{name(short_title(own))}[/] "
        return f"{title}{metric_text(own, row.run.metrics[own])}"

    return cell


def _metric_cell(metric: str) -> Callable[[RunRow, int], str]:
    def cell(row: RunRow, width: int) -> str:
        value = row.run.metrics.get(metric)
        return metric_text(metric, value) if value is not None else UNKNOWN

    return cell


def _curve_cell(row: RunRow, width: int) -> str:
    """The training loss as a line; a run without a finite loss says so."""
    if row.extent is None or not row.extent.losses:
        return ""
    if not any(math.isfinite(loss) for loss in row.extent.losses):
        return "[$error]✗ NaN[/]"
    return trace(row.extent.losses, width, 1, row.color or "$text-muted")[0]


def _setting(key: str, tone: str = "$text") -> Callable[[RunRow, int], str]:
    def cell(row: RunRow, width: int) -> str:
        value = _own_or_like(key, row.settings) if row.settings is not None else None
        if value is None:
            return UNKNOWN if row.settings is not None else ""
        text = figure(value) if isinstance(value, float) else str(value)
        return f"[{tone}]{name(text, width)}[/]"

    return cell


def _own_or_like(key: str, settings: Mapping[str, Any]) -> Any:
    """A setting of torchdeck's, or what another program calls by a part of its key: "lr" of optimizer.lr."""
    from torchdeck.engine.runs.browsing.run_filter import setting_of

    if key in settings:
        return settings[key]
    parts = (setting_of(part, settings) for part in reversed(key.split(".")) if part != "name")
    return next((value for value in parts if value is not None), None)


def _muted(write: Callable[[RunRow], str]) -> Callable[[RunRow, int], str]:
    return lambda row, width: f"[$text-muted]{name(write(row), width)}[/]"


def run_columns(metric: str = "", *, is_by_seed: bool = False) -> tuple[Column[RunRow], ...]:
    """All columns of the table of runs.

    Args:
        metric: metric of the best value of every run; empty if the runs differ in it, so that each names its own.
        is_by_seed: whether a line may stand for several seeds, and shows their mean with the deviation.
    """
    title = metric_title(metric) if metric else "best"
    return (
        Column("run", "run", 24, _name_cell, is_left=True, is_wide=True),
        Column("status", "status", 11, lambda row, width: status_cell(row.run.status), is_left=True, rank=1),
        Column("source", "source", 12, _muted(lambda row: row.run.source), is_left=True, rank=3),
        Column("epoch", "epoch", 7, _epoch_cell, rank=3),
        Column("best", title, max(8, len(title) + 2, 14 * is_by_seed) if metric else 15, _best_cell(metric), rank=2),
        Column("loss", "loss", 7, _metric_cell("loss"), rank=4),
        Column(
            "score", "newest", 15 if not metric else max(8, len(title)), _score_cell(metric), rank=15, can_sort=False
        ),
        Column("age", "age", 5, _muted(lambda row: rough_duration(max(0.0, row.now - row.run.modified))), rank=2),
        Column("curve", "curve", _TRACE_CELLS, _curve_cell, is_left=True, rank=5, can_sort=False),
        Column("model", "model", 13, _setting("model.name"), is_left=True, rank=6),
        Column("data", "data", 13, _setting("data.dataset", "$text-muted"), is_left=True, rank=7),
        Column("lr", "lr", 8, _setting("optimizer.lr"), rank=8),
        Column(
            "size",
            "size",
            7,
            _muted(lambda row: byte_size(row.extent.bytes) if row.extent else ""),
            rank=9,
            can_sort=False,
        ),
        Column("step", "step", 9, _muted(lambda row: f"{row.run.step:,}"), rank=14),
        Column("tags", "tags", 16, lambda row, width: tag_words(row.run.tags), is_left=True, rank=12),
        Column("note", "note", 24, _muted(lambda row: " ".join(row.run.note.split())), is_left=True, rank=13),
    )


COLUMN_NAMES = tuple(column.name for column in run_columns())
DEFAULT_COLUMNS = ("run", "status", "epoch", "best", "loss", "age", "curve", "model", "data", "lr", "size")
"""Columns that are shown where there is room, unless the user chose others."""


def chosen_columns(
    names: Sequence[str], metric: str, *, has_sources: bool = False, is_by_seed: bool = False
) -> list[Column[RunRow]]:
    """The columns of these names, in this order. Where there is no room, the last ones are left out.

    Args:
        names: chosen columns.
        metric: metric of the best value of every run; empty if the runs differ in it.
        has_sources: whether some of the runs are of other programs; the source is then a default column, too.
        is_by_seed: whether a line may stand for several seeds.
    """
    if tuple(names) == DEFAULT_COLUMNS:
        added = ("source",) if has_sources else ()
        return [column for column in run_columns(metric, is_by_seed=is_by_seed) if column.name in (*names, *added)]
    known = {column.name: column for column in run_columns(metric, is_by_seed=is_by_seed)}
    columns = [known[each] for each in names]
    # What the user put first, the user wants to see first.
    return [_ranked(column, rank) for rank, column in enumerate(columns)]


def _ranked(column: Column[RunRow], rank: int) -> Column[RunRow]:
    return Column(
        column.name, column.title, column.width, column.cell, column.is_left, column.is_wide, rank, column.can_sort
    )


def known_columns(value: object) -> tuple[str, ...]:
    """The columns that a user's file names, or else the default ones. The run's name is always there."""
    if not isinstance(value, list):
        return DEFAULT_COLUMNS
    names = tuple(dict.fromkeys(each for each in value if each in COLUMN_NAMES))
    return names if "run" in names else ("run", *names) if names else DEFAULT_COLUMNS


# Checkpoints


def _file_cell(row: CheckpointRow, width: int) -> str:
    """The file; a name that is too long loses its middle, as its end tells it from its neighbors."""
    file = row.checkpoint.file
    mark = "[$primary]━━[/] " if row.is_marked else "   "
    room = width - 3
    if len(file) > room:
        file = f"{file[: max(1, room // 3)]}…{file[-(room - room // 3 - 1) :]}"
    return f"{mark}{name(file, room)}"


def _marks_cell(row: CheckpointRow, width: int) -> str:
    """Best, newest, pinned; a checkpoint that can't be used says why."""
    checkpoint = row.checkpoint
    if checkpoint.problem:
        return f"[$error]✗ {name(checkpoint.problem, width - 2)}[/]"
    marks = ["[$best]★ best[/]"] * checkpoint.is_best
    marks += ["[$text-muted]last[/]"] * checkpoint.is_last
    marks += ["[$series-7]⚑ pinned[/]"] * checkpoint.is_pinned
    return " [$text-disabled]·[/] ".join(marks)


def marks_width(rows: Sequence[CheckpointRow]) -> int:
    """Cells that the longest marks of some checkpoints take."""
    return max((cells(_marks_cell(row, 40)) for row in rows), default=0)


def checkpoint_columns(metric: str, marks: int) -> tuple[Column[CheckpointRow], ...]:
    """The columns of the table of checkpoints.

    Args:
        metric: metric that says most of the run beside its loss.
        marks: cells for the marks; see `marks_width`.
    """

    def value(of: str) -> Callable[[CheckpointRow, int], str]:
        def cell(row: CheckpointRow, width: int) -> str:
            measured = row.checkpoint.metrics.get(of)
            return metric_text(of, measured) if measured is not None else UNKNOWN

        return cell

    def muted(write: Callable[[CheckpointRow], str]) -> Callable[[CheckpointRow, int], str]:
        return lambda row, width: f"[$text-muted]{name(write(row), width)}[/]"

    title = short_title(metric)
    return (
        Column("file", "   checkpoint", 15, _file_cell, is_left=True),
        Column("epoch", "epoch", 5, muted(lambda row: str(row.checkpoint.epoch)), rank=1),
        Column("step", "step", 8, muted(lambda row: f"{row.checkpoint.step:,}"), rank=6),
        Column("score", title, max(7, len(title)), value(metric), rank=2),
        Column("loss", "loss", 7, value("loss"), rank=3),
        Column("size", "size", 7, muted(lambda row: byte_size(row.checkpoint.bytes)), rank=5),
        Column("age", "age", 4, muted(lambda row: rough_duration(row.now - row.checkpoint.modified)), rank=4),
        Column("saved", "saved", 12, muted(lambda row: row.checkpoint.reason), is_left=True, rank=7),
        Column("marks", "", marks, _marks_cell, is_left=True, is_wide=True),
    )
