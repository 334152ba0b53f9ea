"""A checkpoint's evaluation on the test split, with pictures of its worst mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from torchdeck.engine.errors import TorchdeckError

from ..drawing import escape, name
from ..keys.bindings import bindings
from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.image_grid import GridImage, ImageGrid
from ..widgets.key_line import KeyLine
from ..words.runs.score_text import confusion_text, metrics_text, per_class_text
from ..working import Working
from .dialog import OVER_KEYS, OverScreen

if TYPE_CHECKING:
    from torchdeck.engine.checkpoints.evaluate import CheckpointScores

# At this width and above, figures and pictures are side by side.
_WIDE = 120
_SPLITS = ("auto", "test", "validation", "train")


class ScoresScreen(Working, OverScreen[None]):
    """Evaluates a checkpoint in the worker process and shows the result."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("scores")

    def __init__(self, path: Path, worker: WorkerProcess) -> None:
        """Create the screen; the evaluation starts when it is shown.

        Args:
            path: checkpoint of torchdeck.
            worker: process that evaluates it.
        """
        super().__init__()
        self._path = path
        self._worker = worker
        self._split = "auto"
        self._is_averaged = False

    def compose(self) -> ComposeResult:
        """Lay out scrolling figures, with pictures beside them if there is room, else below."""
        with VerticalScroll(id="scores", classes="panel") as box:
            box.border_title = f"Evaluation  [not bold $text-muted]{name(self._path.name)}[/]"
            yield Static(f"[$text-muted]evaluating {name(self._path.name)} …[/]", id="figures")
            with Vertical(id="worst"):
                yield Static("worst mistakes: true → predicted, confidence", markup=False)
                yield ImageGrid(empty="", id="pictures")
        yield KeyLine(OVER_KEYS)

    def on_mount(self) -> None:
        """Start the evaluation."""
        self._measure()

    def on_resize(self, event: events.Resize) -> None:
        """Put figures and pictures side by side if there is room for both."""
        self.set_class(event.size.width >= _WIDE, "-wide")

    def action_next_split(self) -> None:
        """Evaluate on the next split."""
        self._split = _SPLITS[(_SPLITS.index(self._split) + 1) % len(_SPLITS)]
        self._measure()

    def action_averaged(self) -> None:
        """Switch between the averaged and the trained weights."""
        self._is_averaged = not self._is_averaged
        self._measure()

    @work(exclusive=True)
    async def _measure(self) -> None:
        figures = self.query_one("#figures", Static)
        which = f"{self._split} split" + (", averaged (EMA) weights" if self._is_averaged else "")

        def show(message: str, done: int, total: int) -> None:
            share = f" {done:,}/{total:,}" if total else ""
            figures.update(f"{name(self._path.name)}, {which}\n[$text-muted]{name(message)}{share} …[/]")

        show("evaluating", 0, 0)
        try:
            scores = await self._worker.follow(
                worker_calls.EVALUATE_CHECKPOINT,
                self._path,
                split=self._split,
                averaged=self._is_averaged,
                on_progress=show,
            )
        except (TorchdeckError, WorkerError) as error:
            figures.update(f"{name(which)}\n[$error]{escape(printable_lines(str(error)))}[/]")
            self._show_pictures([])
            return
        self._show(scores)

    def _show(self, scores: CheckpointScores) -> None:
        width = self.size.width // 2 if self.has_class("-wide") else self.size.width
        parts = (metrics_text(scores), per_class_text(scores), confusion_text(scores, width - 4))
        self.query_one("#figures", Static).update("\n\n".join(filter(None, parts)))
        self._show_pictures(
            [
                GridImage(
                    sample.pixels,
                    f"{scores.classes[sample.target]} → {scores.classes[sample.predicted]}, {sample.confidence:.0%}",
                )
                for sample in scores.worst
            ]
        )

    def _show_pictures(self, images: list[GridImage]) -> None:
        self.query_one(ImageGrid).set_images(images)
        self.query_one("#worst").set_class(bool(images), "-any")
