"""All details of a watched run's newest evaluation: metrics, classes, confusion matrix, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from ..drawing import bar
from ..keys.bindings import bindings
from ..words.figures import percent
from ..words.runs.score_text import ClassTables, confusion_text, metric_lines, per_class_text
from .dialog import OverScreen

_BAR_CELLS = 30


class EvaluationScreen(OverScreen[None]):
    """Shows a run's newest evaluation; `v` switches between the trained and the averaged weights."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("evaluation")

    def __init__(self, evaluation: Mapping[str, Any], classes: list[str]) -> None:
        """Create the screen for an evaluation.

        Args:
            evaluation: result of `RunReader.evaluation`.
            classes: names of the classes, labels or values.
        """
        super().__init__()
        self._evaluation = evaluation
        self._names = classes
        self._weights = ""

    def compose(self) -> ComposeResult:
        """Lay out a scrolling text."""
        with Vertical(classes="dialog -large") as box:
            box.border_title = f"Evaluation after step {self._evaluation.get('step', 0):,}"
            box.border_subtitle = "[b]v[/] EMA weights   [b]Esc[/] closes"
            with VerticalScroll(classes="-fill"):
                yield Static(id="figures")

    def on_mount(self) -> None:
        """Show the trained weights first."""
        self._show()

    def action_averaged(self) -> None:
        """Switch between the trained and the averaged weights."""
        has_average = "ema" in self._evaluation.get("tables", {})
        self._weights = "ema" if has_average and not self._weights else ""
        self._show()

    def _show(self) -> None:
        tables = self._evaluation.get("tables", {}).get(self._weights, {})
        text = evaluation_text(self._evaluation, tables, self._names, self._weights, max(40, self.size.width - 10))
        self.query_one("#figures", Static).update(text)


def evaluation_text(
    evaluation: Mapping[str, Any], tables: Mapping[str, Any], classes: list[str], weights: str, width: int
) -> str:
    """Describe an evaluation as markup.

    Args:
        evaluation: result of `RunReader.evaluation`.
        tables: tables of the weights that are shown.
        classes: names of the classes.
        weights: "ema" for the averaged weights, "" for the trained ones.
        width: maximum width of a line, in cells.
    """
    title = f"[b]validation split, {'averaged (EMA)' if weights else 'trained'} weights[/]"
    metrics = evaluation.get("ema" if weights else "metrics", {})
    scored = ClassTables(classes, dict(tables))
    parts = (
        "\n".join([title, *metric_lines(metrics)]),
        per_class_text(scored),
        confusion_text(scored, width),
        _calibration_text(tables.get("calibration")),
    )
    return "\n\n".join(filter(None, parts))


def _calibration_text(bins: Mapping[str, list[float]] | None) -> str:
    """Draw accuracy at each confidence as bars; for a calibrated model, the two are equal."""
    if not bins:
        return ""
    lines = ["[b]calibration: confidence, accuracy, samples[/]"]
    for samples, confidence, accuracy in zip(bins["samples"], bins["confidence"], bins["accuracy"], strict=True):
        if samples:
            share = bar(accuracy, _BAR_CELLS, "$series-1")
            lines.append(f"{percent(confidence):>8} {percent(accuracy):>8} {samples:>8,}  {share}")
    return "\n".join(lines)
