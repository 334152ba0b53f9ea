"""The columns beside the names of a module tree: choosing those that fit, and their cells as markup."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from ...drawing import UNKNOWN, bar, left, name, right, short_count
from .module_outline import ModuleTreeRow

View = Literal["overview", "parameters", "compute", "gradients"]
VIEWS: tuple[View, ...] = ("overview", "parameters", "compute", "gradients")

GAP = 2
"""Cells between two columns."""

_NARROWEST_NAME = 20
# Minimum width of the name before other columns grow.
_WIDE_NAME = 32
# From cold to hot.
_HEAT = ("$series-1", "$series-7", "$text-muted", "$series-2", "$warning", "$error")
# What kind of work a module does, by the beginning of its class's name.
_KINDS = (
    (("Conv", "LazyConv"), "$series-1"),
    (("Linear", "LazyLinear", "Bilinear", "Embedding", "MultiheadAttention", "Transformer"), "$series-4"),
    (("BatchNorm", "LayerNorm", "GroupNorm", "InstanceNorm", "RMSNorm", "SyncBatchNorm"), "$series-5"),
    (("LSTM", "GRU", "RNN"), "$series-3"),
)


@dataclass(frozen=True)
class ModuleHeat:
    """The last record of a module's gradient.

    Attributes:
        norm: norm of the gradient; None if there was none.
        update_ratio: norm of a step's update divided by the norm of the weights.
    """

    norm: float | None
    update_ratio: float


@dataclass(frozen=True)
class Totals:
    """Totals that cells are compared with.

    Attributes:
        params: number of parameters of the whole model.
        flops: operations of the whole model; 0 if unknown.
        heat: gradient records by path; empty if no run is watched.
    """

    params: int = 0
    flops: int = 0
    heat: Mapping[str, ModuleHeat] = field(default_factory=dict)

    @cached_property
    def norm_limits(self) -> tuple[float, float]:
        """The smallest and largest finite gradient norm above zero, as powers of ten."""
        norms = [heat.norm for heat in self.heat.values() if heat.norm and math.isfinite(heat.norm)]
        return (math.log10(min(norms)), math.log10(max(norms))) if norms else (0.0, 0.0)


Cell = Callable[[ModuleTreeRow, Totals, int], str]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        title: title in the header.
        width: minimum width in cells.
        cell: function that makes a cell's markup, exactly as wide as the column, from a row, the totals and the width.
        keeps: priority; columns with lower values are dropped first if there is no room.
        most: maximum width in cells.
        is_right: whether the title is aligned right.
    """

    title: str
    width: int
    cell: Cell
    keeps: int
    most: int = 0
    is_right: bool = False


def columns_for(view: View, width: int, totals: Totals) -> tuple[int, list[Column]]:
    """Choose the columns of a view that fit into a line, and the width of the name."""
    columns = _wanted(view, width, totals)
    while len(columns) > 1 and width - _taken(columns) < _NARROWEST_NAME:
        columns.remove(min(columns, key=lambda column: column.keeps))
    spare = max(0, width - _taken(columns) - _WIDE_NAME)
    grown = []
    for column in columns:
        more = min(max(0, column.most - column.width), spare)
        spare -= more
        grown.append(replace(column, width=column.width + more))
    return max(width - _taken(grown), 8), grown


def trainable_mark(row: ModuleTreeRow) -> str:
    """✓ trained, ◐ partly, ❄ frozen; ? not initialized; blank without parameters."""
    if row.is_uninitialized:
        return "?"
    if not row.params:
        return " "
    return "✓" if row.trainable == row.params else "◐" if row.trainable else "❄"


_MARK_TONES = {"✓": "$success", "◐": "$warning", "❄": "$series-1", "?": "$warning", " ": "$text"}


def kind_tone(kind: str) -> str:
    """Theme variable of a type: convolution, linear, normalization and recurrent modules are told apart."""
    return next((tone for names, tone in _KINDS if kind.startswith(names)), "$text-muted")


def _taken(columns: list[Column]) -> int:
    return sum(column.width + GAP for column in columns)


def _wanted(view: View, width: int, totals: Totals) -> list[Column]:
    number = max(len(f"{totals.params:,}"), len("params"))
    if view == "parameters":
        counts = number if width >= 40 + 5 * (number + GAP) else 6
        return [
            Column("own", counts, _count(lambda row: row.own), 4, is_right=True),
            Column("total", counts, _count(lambda row: row.params), 9, is_right=True),
            Column("trained", max(counts, 7), _count(lambda row: row.trainable), 8, is_right=True),
            Column("frozen", counts, _count(lambda row: row.params - row.trainable), 7, is_right=True),
            Column("of all", 6, _share, 2, 18),
            Column("buffers", 7, _count(lambda row: row.buffers), 3, is_right=True),
            Column("dtype", 8, lambda row, totals, cells: f"[$text-muted]{left(row.dtype, cells)}[/]", 5),
        ]
    if view == "compute":
        return [
            Column("calls", 7, _calls, 8, is_right=True),
            Column("FLOPs", 6, _count(lambda row: row.flops or 0), 9, is_right=True),
            Column("of all", 6, _share_of_flops, 6, 18),
            Column("mode", 5, _mode, 5),
            Column("output", 11, _output, 7, 26),
            Column("type", 12, _kind, 1, 24),
        ]
    if view == "gradients":
        return [
            Column("gradient", 8, _norm, 9, is_right=True),
            Column("heat", 8, _heat_bar, 7, 24),
            Column("update", 7, _update, 8, is_right=True),
            Column("params", number, _count(lambda row: row.trainable), 5, is_right=True),
            Column("type", 12, _kind, 4, 24),
        ]
    columns = [
        Column("type", 12, _kind, 8, 20),
        Column("params", number, _count(lambda row: row.params), 10, is_right=True),
        Column("t", 1, _trained, 9),
        Column("of all", 8, _share, 6, 16),
        Column("output", 11, _output, 5, 16),
        Column("FLOPs", 6, _count(lambda row: row.flops or 0), 4, is_right=True),
        Column("arguments", 12, _arguments, 1, 40),
    ]
    if totals.heat:
        columns.insert(3, Column("gradient", 8, _norm, 7, is_right=True))
    return columns


def _count(of: Callable[[ModuleTreeRow], int]) -> Cell:
    def cell(row: ModuleTreeRow, totals: Totals, width: int) -> str:
        count = of(row)
        full = f"{count:,}"
        text = full if count and len(full) <= width else short_count(count)
        return right(text, width) if count else f"[$text-disabled]{right('–', width)}[/]"

    return cell


def _trained(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    mark = trainable_mark(row)
    return f"[{_MARK_TONES[mark]}]{mark}[/]"


def _kind(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    note = " not run" if row.calls == 0 else " uninitialized" if row.is_uninitialized else ""
    # A note is shown whole or not at all.
    if note and len(row.type) + len(note) <= width:
        return f"[{kind_tone(row.type)}]{name(row.type)}[/][$warning]{left(note, width - len(name(row.type)))}[/]"
    return f"[{kind_tone(row.type)}]{left(row.type, width)}[/]"


def _arguments(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    return f"[$text-muted]{left(row.note, width)}[/]"


def _mode(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    return f"[{'$warning' if row.mode == 'eval' else '$text-muted'}]{left(row.mode, width)}[/]"


def _output(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    # The batch dimension of the one sample that went through tells nothing.
    return f"[$text-muted]{left(row.output.removeprefix('1×'), width)}[/]"


def _calls(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    if row.calls is None:
        return " " * width
    return right(f"{row.calls:,}", width) if row.calls else f"[$warning]{right('not run', width)}[/]"


def _share(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    return _part(row.params, totals.params, width)


def _share_of_flops(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    return _part(row.flops or 0, totals.flops, width)


def _part(count: int, whole: int, width: int) -> str:
    return bar(count / whole, width, "$series-7") if count and whole else " " * width


def _norm(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    heat = totals.heat.get(row.path)
    if heat is None or heat.norm is None:
        return " " * (width - 1) + UNKNOWN
    if not math.isfinite(heat.norm):
        return f"[b $error]{right(f'✗ {heat.norm}', width)}[/]"
    return f"[{_tone(heat.norm, totals)}]{right(f'{heat.norm:.1e}', width)}[/]"


def _heat_bar(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    heat = totals.heat.get(row.path)
    if heat is None or not heat.norm or not math.isfinite(heat.norm):
        return " " * width
    return bar(max(0.5 / width, _position(heat.norm, totals)), width, _tone(heat.norm, totals))


def _update(row: ModuleTreeRow, totals: Totals, width: int) -> str:
    """The update of a step relative to the weights: 1e-3 is usual, 1e-1 is large, 1e-6 is negligible."""
    heat = totals.heat.get(row.path)
    if heat is None or not math.isfinite(heat.update_ratio):
        return " " * (width - 1) + UNKNOWN
    ratio = heat.update_ratio
    tone = "$error" if ratio > 0.1 else "$warning" if ratio > 0.01 else "$success" if ratio > 1e-6 else "$series-1"
    return f"[{tone}]{right(f'{ratio:.1e}', width)}[/]"


def _position(norm: float, totals: Totals) -> float:
    low, high = totals.norm_limits
    return 1.0 if high <= low else (math.log10(norm) - low) / (high - low)


def _tone(norm: float, totals: Totals) -> str:
    if norm <= 0:
        return "$text-disabled"
    return _HEAT[min(len(_HEAT) - 1, int(_position(norm, totals) * len(_HEAT)))]
