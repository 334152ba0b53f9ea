"""One sample enlarged, after each step of the pipeline, with statistics of its values and the time per step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import ScrollableContainer, Vertical
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.shapes import shape_words

from ..drawing import escape, left, name, right
from ..keys.bindings import bindings
from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.image_grid import GridImage, ImageGrid
from ..working import Working
from .dialog import OverScreen

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import SampleTrace, TraceStep

_HINT = "[b]n N[/] draw   [b]← →[/] sample   [b]Esc[/] closes"


class SampleScreen(Working, OverScreen[int]):
    """A sample on its way into the model. Returns the number of the last draw shown."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("sample")

    def __init__(self, worker: WorkerProcess, config: RunConfig, positions: Sequence[int], at: int, draw: int) -> None:
        """Create the screen for several samples.

        Args:
            worker: process that traces a sample.
            config: config of the run.
            positions: indices of the samples in the training split.
            at: which of them is shown first.
            draw: epoch whose random draws are shown first, from 0.
        """
        super().__init__()
        self._worker = worker
        self._config = config
        self._positions = list(positions)
        self._at = at
        self._draw = draw

    def compose(self) -> ComposeResult:
        """Lay out the pictures above the table."""
        with Vertical(classes="dialog -large") as box:
            box.border_title = "Sample"
            box.border_subtitle = _HINT
            yield ImageGrid(empty="", id="steps")
            with ScrollableContainer(id="table", can_focus=False):
                yield Static(id="figures")

    def on_mount(self) -> None:
        """Trace the first sample."""
        self._trace()

    def action_back(self) -> None:
        """Close; the pane then shows the same draw."""
        self.dismiss(self._draw)

    def action_draw(self, step: int) -> None:
        """Show the random parameters of another epoch."""
        self._draw = max(0, self._draw + step)
        self._trace()

    def action_sample(self, step: int) -> None:
        """Show another sample."""
        self._at = (self._at + step) % len(self._positions)
        self._trace()

    @work(exclusive=True)
    async def _trace(self) -> None:
        try:
            trace = await self._worker.call(
                worker_calls.TRACE_SAMPLE,
                self._config,
                epoch=self._draw,
                position=self._positions[self._at],
            )
        except (TorchdeckError, WorkerError) as error:
            self._say(f"[$text-error]✗ {escape(printable_lines(str(error)))}[/]", is_table=False)
            return
        self._show(trace)

    def _show(self, trace: SampleTrace) -> None:
        grid = self.query_one(ImageGrid)
        grid.set_images([GridImage(step.pixels, f"{number} {step.name}") for number, step in enumerate(trace.steps)])
        title = f"{name(trace.name, 60)} [not bold]· {name(trace.label, 30)} · draw of epoch {self._draw + 1}[/]"
        self.query_one(Vertical).border_title = title
        self._say("\n".join(figures(trace)), is_table=True)

    def _say(self, markup: str, *, is_table: bool) -> None:
        words = self.query_one("#figures", Static)
        # A table is scrolled, and a sentence wrapped.
        words.set_class(is_table, "-table")
        words.update(markup)


def figures(trace: SampleTrace) -> list[str]:
    """A table as markup: each step's name, shape, number format, min, max and mean, and time."""
    head = ("", "step", "shape", "format", "min", "max", "mean", "µs per sample")
    rows = [(str(number), *_cells(step)) for number, step in enumerate(trace.steps)]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]

    def line(row: Sequence[str]) -> str:
        columns = zip(row, widths, strict=True)
        return "  ".join((left if at < 4 else right)(cell, width) for at, (cell, width) in enumerate(columns))

    timed = "timed in whole batches" if trace.batched else "timed sample by sample"
    return [
        f"[$text-disabled]{line(head)}[/]",
        *map(line, rows),
        f"[$text-disabled]{timed}; a step's time is what it adds to the others[/]",
    ]


def _cells(step: TraceStep) -> tuple[str, ...]:
    time = "–" if step.microseconds is None else f"{step.microseconds:,.1f}"
    shape = shape_words(step.shape)
    values = (f"{value:.4g}" for value in (step.minimum, step.maximum, step.mean))
    return (step.name, shape, step.dtype, *values, time)
