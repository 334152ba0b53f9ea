"""Metrics of a checkpoint and differences between two as text, for the verbs and the screens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.text import Text

from torchdeck.engine.run_files import CHECKPOINTS

from ..plain_text import printable
from .figures import percent
from .metric_text import metric_text, metric_title

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


def metrics_text(scores: CheckpointScores) -> Text:
    """Describe an evaluation: checkpoint, split and metrics."""
    name = f"{scores.run}, {scores.checkpoint.name}" if scores.run else scores.checkpoint.name
    text = Text(f"{printable(name)}, after epoch {scores.epoch}\n", style="bold")
    text.append(f"{scores.split} split, {scores.samples:,} samples\n", style="not bold")
    for note in scores.notes:
        text.append(f"{printable(note)}\n", style="not bold yellow")
    for key, value in scores.metrics.items():
        text.append(f"  {metric_title(key):<12}", style="not bold dim")
        text.append(f"{metric_text(key, value):>8}\n", style="not bold")
    text.right_crop(1)
    return text


def per_class_rows(scores: Tabled) -> list[tuple[str, ...]]:
    """Make a table of the classes, headings first; empty if nothing was measured per class."""
    table = scores.tables.get("per_class") or scores.tables.get("per_output")
    if not table:
        return []
    columns = [name for name in ("precision", "recall", "f1", "mae", "rmse", "r2", "support") if name in table]
    names = scores.classes or [str(number) for number in range(len(table[columns[0]]))]
    rows: list[tuple[str, ...]] = [("class", *(_HEADINGS.get(column, column) for column in columns))]
    for number, name in enumerate(names):
        rows.append((printable(name), *(_per_class_text(column, table[column][number]) for column in columns)))
    return rows


def _per_class_text(column: str, value: float) -> str:
    if column == "support":
        return f"{value:,}"
    return percent(value) if column in _PER_CLASS_SHARES else metric_text(column, value)


def confusion_text(scores: Tabled, width: int) -> Text:
    """Write the confusion matrix, with targets as rows, if it fits; otherwise the most confused pairs of classes."""
    cells = scores.tables.get("confusion") or []
    classes = [printable(name) for name in scores.classes]
    counts = {(target, predicted): count for target, predicted, count in cells}
    largest = max(counts.values(), default=0)
    cell = max(4, len(str(largest)) + 1)
    if not counts or len(classes) > _LARGEST_MATRIX or _NAME_CELLS + cell * len(classes) > width:
        return _confused_pairs(counts, classes)
    text = Text("confusion matrix: rows are targets, columns are predictions\n", style="bold")
    text.append(" " * _NAME_CELLS)
    for name in classes:
        text.append(f"{name[: cell - 1]:>{cell}}", style="not bold dim")
    totals = [sum(count for (row, _), count in counts.items() if row == target) for target in range(len(classes))]
    for target, name in enumerate(classes):
        text.append(f"\n{name[: _NAME_CELLS - 1]:<{_NAME_CELLS}}", style="not bold")
        for predicted in range(len(classes)):
            count = counts.get((target, predicted), 0)
            style = _heat(count / max(1, totals[target]), is_right=target == predicted) if count else "not bold dim"
            text.append(f"{count or '·':>{cell}}", style=style)
    return text


def _heat(share: float, *, is_right: bool) -> str:
    """The style of a cell with this share of its row: larger shares are brighter; the diagonal is green."""
    level = round(70 + 110 * min(1.0, share if is_right else 3 * share))
    return f"not bold white on rgb(0,{level - 40},20)" if is_right else f"not bold white on rgb({level},20,20)"


def _confused_pairs(counts: dict[tuple[int, int], int], classes: list[str]) -> Text:
    wrong = sorted((-count, pair) for pair, count in counts.items() if pair[0] != pair[1])
    if not wrong:
        return Text()
    text = Text("most confused classes\n", style="bold")
    for count, (target, predicted) in wrong[:_SHOWN_PAIRS]:
        text.append(f"{-count:>7,}  {classes[target]} predicted as {classes[predicted]}\n", style="not bold")
    text.right_crop(1)
    return text


def comparison_text(comparison: Comparison, first: Path, second: Path) -> Text:
    """Describe a comparison: the two checkpoints and their metrics."""
    text = Text()
    for word, path in (("first ", first), ("second", second)):
        text.append(f"{word}  ", style="dim").append(f"{printable(_short(path))}\n", style="bold")
    for name, values in comparison.metrics.items():
        shown = [metric_text(name, value) for value in values]
        text.append(f"{metric_title(name):<12}{shown[0]:>12}{shown[1]:>12}\n")
    if comparison.note:
        text.append(f"settings not compared: {printable(comparison.note)}\n", style="yellow")
    elif not comparison.settings:
        text.append("same settings\n")
    if comparison.weights_note:
        text.append(f"weights not compared: {printable(comparison.weights_note)}\n", style="yellow")
    for word, names in (("first", comparison.only_first), ("second", comparison.only_second)):
        if names:
            more = f" and {len(names) - 4} more" if len(names) > 4 else ""
            text.append(f"only in the {word}, or with another shape: {printable(', '.join(names[:4]))}{more}\n")
    return text


def setting_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """List the settings that differ, with both values."""
    return [
        (key, *(printable("–" if value is None else str(value), 40) for value in values))
        for key, values in comparison.settings.items()
    ]


def per_class_text(scores: Tabled) -> Text:
    """Write the table of the classes in columns."""
    rows = per_class_rows(scores)
    text = Text()
    for number, (name, *values) in enumerate(rows):
        line = f"{name[: _NAME_CELLS - 1]:<{_NAME_CELLS}}" + "".join(f"{value:>10}" for value in values)
        text.append(f"{line}\n", style="bold" if number == 0 else "not bold")
    if rows:
        text.right_crop(1)
    return text


def settings_text(comparison: Comparison) -> Text:
    """Write the settings that differ, one per line."""
    text = Text()
    for key, first, second in setting_rows(comparison):
        text.append(f"{key}: ", style="dim").append(f"{first} → {second}\n")
    return text


def distance_text(comparison: Comparison) -> Text:
    """Write the distance between each module's weights, as a number and a bar."""
    text = Text()
    finite = [row.relative for row in comparison.modules if math.isfinite(row.relative)]
    largest = max(finite, default=0.0) or 1.0
    if comparison.modules:
        text.append("distance between the weights, relative to the first\n", style="bold")
    for row in comparison.modules:
        bar = "█" * round(_BAR_CELLS * min(1.0, row.relative / largest))
        name = printable(row.module, 40) or "(the model)"
        text.append(f"{name:<40} {row.relative:>9.2%}  ", style="not bold").append(f"{bar}\n", style="not bold cyan")
    return text


def _short(path: Path) -> str:
    """Name a checkpoint with its run, or a file by its full path."""
    return f"{path.parent.parent.name}/{path.name}" if path.parent.name == CHECKPOINTS else str(path)
