"""Metrics of a checkpoint and differences between two as lines of markup, for the verbs and the screens."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torchdeck.engine.run_files import CHECKPOINTS

from ...drawing import bar, escape, left, name, right
from ...plain_text import printable
from ..figures import percent
from ..metric_text import metric_text, metric_title

if TYPE_CHECKING:
    from torchdeck.engine.checkpoints.compare import Comparison
    from torchdeck.engine.checkpoints.evaluate import CheckpointScores

_NAME_CELLS = 16
# With more classes, the most confused pairs say more than a matrix.
_LARGEST_MATRIX = 20
_SHOWN_PAIRS = 12
_BAR_CELLS = 20
_PER_CLASS_SHARES = ("precision", "recall", "f1")
_HEADINGS = {"f1": "F1", "mae": "MAE", "rmse": "RMSE", "r2": "R²"}


class Tabled(Protocol):
    """Measurements per class."""

    @property
    def classes(self) -> list[str]:
        """Names of the classes, labels or values."""
        ...

    @property
    def tables(self) -> dict[str, Any]:
        """Tables from the meters of `torchdeck.engine.training.metrics.meter`."""
        ...


@dataclass(frozen=True)
class ClassTables:
    """Tables with the names of their classes; see `Tabled`."""

    classes: list[str]
    tables: dict[str, Any]


def metrics_text(scores: CheckpointScores) -> str:
    """Describe an evaluation: checkpoint, split and metrics."""
    of = f"{scores.run}, {scores.checkpoint.name}" if scores.run else scores.checkpoint.name
    return "\n".join(
        [
            f"[b]{name(of)}, after epoch {scores.epoch}[/]",
            f"{scores.split} split, {scores.samples:,} samples",
            *(f"[$warning]{name(note)}[/]" for note in scores.notes),
            *metric_lines(scores.metrics),
        ]
    )


def metric_lines(metrics: Mapping[str, float]) -> list[str]:
    """A line per metric: its name, muted, and its value."""
    return [
        f"  [$text-muted]{left(metric_title(key), 12)}[/]{metric_text(key, value):>8}"
        for key, value in metrics.items()
    ]


def per_class_rows(scores: Tabled) -> list[tuple[str, ...]]:
    """Make a table of the classes, headings first; empty if nothing was measured per class."""
    table = scores.tables.get("per_class") or scores.tables.get("per_output")
    if not table:
        return []
    columns = [each for each in ("precision", "recall", "f1", "mae", "rmse", "r2", "support") if each in table]
    names = scores.classes or [str(number) for number in range(len(table[columns[0]]))]
    rows: list[tuple[str, ...]] = [("class", *(_HEADINGS.get(column, column) for column in columns))]
    for number, each in enumerate(names):
        rows.append((printable(each), *(_per_class_text(column, table[column][number]) for column in columns)))
    return rows


def _per_class_text(column: str, value: float) -> str:
    if column == "support":
        return f"{value:,}"
    return percent(value) if column in _PER_CLASS_SHARES else metric_text(column, value)


def confusion_text(scores: Tabled, width: int) -> str:
    """Write the confusion matrix, with targets as rows, if it fits; otherwise the most confused pairs of classes."""
    cells = scores.tables.get("confusion") or []
    classes = scores.classes
    counts = {(target, predicted): count for target, predicted, count in cells}
    largest = max(counts.values(), default=0)
    cell = max(4, len(str(largest)) + 1)
    if not counts or len(classes) > _LARGEST_MATRIX or _NAME_CELLS + cell * len(classes) > width:
        return _confused_pairs(counts, classes)
    heads = "".join(right(printable(each)[: cell - 1], cell) for each in classes)
    lines = [
        "[b]confusion matrix: rows are targets, columns are predictions[/]",
        f"{' ' * _NAME_CELLS}[$text-muted]{heads}[/]",
    ]
    totals = [sum(count for (row, _), count in counts.items() if row == target) for target in range(len(classes))]
    for target, each in enumerate(classes):
        line = f"{left(each, _NAME_CELLS - 1)} "
        for predicted in range(len(classes)):
            count = counts.get((target, predicted), 0)
            share = count / max(1, totals[target])
            tone = _heat(share, is_right=target == predicted) if count else "$text-muted"
            line += f"[{tone}]{count or '·':>{cell}}[/]"
        lines.append(line)
    return "\n".join(lines)


def _heat(share: float, *, is_right: bool) -> str:
    """The style of a cell with this share of its row: larger shares are stronger; the diagonal is green."""
    strength = round(20 + 60 * min(1.0, share if is_right else 3 * share))
    return f"$text on {'$success' if is_right else '$error'} {strength}%"


def _confused_pairs(counts: dict[tuple[int, int], int], classes: list[str]) -> str:
    wrong = sorted((-count, pair) for pair, count in counts.items() if pair[0] != pair[1])
    if not wrong:
        return ""
    pairs = (
        f"{-count:>7,}  {name(classes[target])} predicted as {name(classes[predicted])}"
        for count, (target, predicted) in wrong[:_SHOWN_PAIRS]
    )
    return "\n".join(["[b]most confused classes[/]", *pairs])


def comparison_text(comparison: Comparison, first: Path, second: Path) -> str:
    """Describe a comparison: the two checkpoints, which are A and B, and their metrics."""
    lines = [f"[b]{letter}[/]  {name(_short(path))}" for letter, path in (("A", first), ("B", second))]
    lines.append(f"[$text-muted]{'':<12}{'A':>12}{'B':>12}[/]" if comparison.metrics else "")
    for key, values in comparison.metrics.items():
        shown = [metric_text(key, value) for value in values]
        lines.append(f"{left(metric_title(key), 12)}{shown[0]:>12}{shown[1]:>12}")
    if comparison.note:
        lines.append(f"[$warning]settings not compared: {name(comparison.note)}[/]")
    elif not comparison.settings:
        lines.append("same settings")
    if comparison.weights_note:
        lines.append(f"[$warning]weights not compared: {name(comparison.weights_note)}[/]")
    for letter, names in (("A", comparison.only_first), ("B", comparison.only_second)):
        if names:
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            lines.append(f"only in {letter}, or with another shape: {name(', '.join(names[:4]))}{more}")
    return "\n".join(lines)


def setting_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """List the settings that differ, with both values."""
    return [
        (key, *(printable("–" if value is None else str(value), 40) for value in values))
        for key, values in comparison.settings.items()
    ]


def per_class_text(scores: Tabled) -> str:
    """Write the table of the classes in columns."""
    lines = []
    for number, (of, *values) in enumerate(per_class_rows(scores)):
        line = f"{left(of, _NAME_CELLS - 1)} {''.join(f'{value:>10}' for value in values)}"
        lines.append(line if number else f"[b]{line}[/]")
    return "\n".join(lines)


def settings_text(comparison: Comparison) -> str:
    """Write the settings that differ, one per line."""
    return "\n".join(
        f"[$text-muted]{name(key)}: [/]{escape(first)} → {escape(second)}"
        for key, first, second in setting_rows(comparison)
    )


def distance_text(comparison: Comparison) -> str:
    """Write the distance between each module's weights, as a number and a bar."""
    if not comparison.modules:
        return ""
    finite = [row.relative for row in comparison.modules if math.isfinite(row.relative)]
    largest = max(finite, default=0.0) or 1.0
    lines = ["[b]distance between the weights, relative to A[/]"]
    for row in comparison.modules:
        share = bar(row.relative / largest, _BAR_CELLS, "$series-1")
        lines.append(f"{left(row.module or '(the model)', 40)} {row.relative:>9.2%}  {share}")
    return "\n".join(lines)


def _short(path: Path) -> str:
    """Name a checkpoint with its run, or a file by its full path."""
    return f"{path.parent.parent.name}/{path.name}" if path.parent.name == CHECKPOINTS else str(path)
