"""Asks when a run is to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from textual.app import ComposeResult
from textual.widgets import Static

from ..drawing import bar, name
from ..words.figures import duration
from .dialog import Answer, Dialog

if TYPE_CHECKING:
    from torchdeck.engine.runs.run_view import RunView

When = Literal["step", "epoch", ""]
_BAR_CELLS = 44


class StopScreen(Dialog[When]):
    """Each answer says what it costs."""

    def __init__(self, run: str, reader: RunView | None) -> None:
        """Create the dialog.

        Args:
            run: name of the run.
            reader: reads the run; None while it is being prepared.
        """
        answers: list[Answer[When]] = [Answer("s", "Next step", "step", "warning", also="X")]
        if reader is not None:
            answers.append(Answer("e", "After the epoch", "epoch", "primary"))
        super().__init__(
            f"Stop {run}?", answers, escape="", way_out="trains on", tone="warning", first=len(answers) - 1
        )
        self._reader = reader

    def body(self) -> ComposeResult:
        """Where the run is, and that it can be resumed."""
        yield Static("\n".join([*_where(self._reader), "[$text-muted]Stopping saves; 5 Runs resumes it there.[/]"]))


def _where(reader: RunView | None) -> list[str]:
    if reader is None:
        return ["It is being prepared.", ""]
    progress = reader.progress()
    left = ""
    if progress.eta_seconds == progress.eta_seconds:
        left = f"; [b]{duration(progress.eta_seconds)}[/] to go"
    lines = [
        f"Epoch [b]{progress.epoch}[/] of {progress.epochs}, "
        f"step [b]{progress.step:,}[/] of {progress.total_steps:,}{left}."
    ]
    if progress.total_steps:
        share = progress.step / progress.total_steps
        lines += [f"{bar(share, _BAR_CELLS)}  {share:.0%}"]
    if (best := reader.best()) is not None:
        from ..words.metric_text import metric_text

        value = metric_text(best["metric"], best["value"])
        lines += ["", f"[$text-muted]Best so far {name(best['metric'])} {value} in epoch {best['epoch']}.[/]"]
    return lines
