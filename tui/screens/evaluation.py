"""All details of a watched run's newest evaluation: metrics, classes, confusion matrix, calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from ..words.figures import percent
from ..words.metric_text import metric_text, metric_title
from ..words.score_text import ClassTables, confusion_text, per_class_text
from .dialog import OverScreen

_BAR_CELLS = 30


class EvaluationScreen(OverScreen[None]):
    """Shows a run's newest evaluation; `m` switches between the trained and the averaged weights."""

    DEFAULT_CSS = """
    EvaluationScreen { align: center middle; }
    EvaluationScreen > VerticalScroll {
        width: 96%; max-width: 130; height: 94%; padding: 0 1;
        border: round $primary; background: $surface;
    }
    EvaluationScreen Static { height: auto; width: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,i", "dismiss", "Back"),
        Binding("m", "averaged", "EMA weights"),
    ]

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
        with VerticalScroll() as box:
            box.border_title = f"Evaluation after step {self._evaluation.get('step', 0):,}"
            box.border_subtitle = "m EMA weights · ? keys · Esc closes"
            yield Static(id="figures", markup=False)

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
) -> Text:
    """Describe an evaluation.

    Args:
        evaluation: result of `RunReader.evaluation`.
        tables: tables of the weights that are shown.
        classes: names of the classes.
        weights: "ema" for the averaged weights, "" for the trained ones.
        width: maximum width of a line, in cells.
    """
    metrics = evaluation.get("ema" if weights else "metrics", {})
    text = Text(f"validation split, {'averaged (EMA)' if weights else 'trained'} weights\n", style="bold")
    for name, value in metrics.items():
        text.append(f"  {metric_title(name):<12}", style="dim")
        text.append(f"{metric_text(name, value):>8}\n", style="not bold")
    scored = ClassTables(classes, dict(tables))
    for part in (per_class_text(scored), confusion_text(scored, width), _calibration_text(tables.get("calibration"))):
        if part:
            text.append("\n").append_text(part).append("\n")
    return text


def _calibration_text(bins: Mapping[str, list[float]] | None) -> Text:
    """Draw accuracy at each confidence as bars; for a calibrated model, the two are equal."""
    text = Text()
    if not bins:
        return text
    text.append("calibration: confidence, accuracy, samples\n", style="bold")
    for samples, confidence, accuracy in zip(bins["samples"], bins["confidence"], bins["accuracy"], strict=True):
        if samples:
            bar = "█" * round(_BAR_CELLS * accuracy)
            line = f"{percent(confidence):>8} {percent(accuracy):>8} {samples:>8,}  "
            text.append(line, style="not bold").append(f"{bar}\n", style="not bold cyan")
    text.right_crop(1)
    return text
