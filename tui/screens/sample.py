"""One sample enlarged, after each step of the pipeline, with statistics of its values and the time per step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..plain_text import printable, printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.image_grid import GridImage, ImageGrid
from ..working import Working
from .dialog import OverScreen

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import SampleTrace, TraceStep

_HINT = "n N next / previous draw · ← → sample · Esc closes"


class SampleScreen(Working, OverScreen[int]):
    """A sample on its way into the model. Returns the number of the last draw shown."""

    DEFAULT_CSS = """
    SampleScreen { align: center middle; }
    SampleScreen > Vertical {
        width: 100%; height: 100%; max-width: 160; max-height: 56; padding: 0 1;
        border: round $primary; background: $surface;
    }
    SampleScreen ImageGrid { height: 1fr; min-height: 8; }
    SampleScreen VerticalScroll { height: auto; max-height: 45%; margin-top: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "back", "Back", key_display="esc"),
        Binding("n", "draw(1)", "Next draw"),
        Binding("N", "draw(-1)", "Previous draw"),
        Binding("right", "sample(1)", "Next sample", priority=True),
        Binding("left", "sample(-1)", "Previous sample", priority=True),
    ]

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
        with Vertical() as box:
            box.border_title = "Sample"
            box.border_subtitle = _HINT
            yield ImageGrid(empty="", id="steps")
            with VerticalScroll():
                yield Static(id="figures", markup=False)

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
            self.query_one("#figures", Static).update(Text(printable_lines(str(error)), "red"))
            return
        self._show(trace)

    def _show(self, trace: SampleTrace) -> None:
        grid = self.query_one(ImageGrid)
        grid.set_images([GridImage(step.pixels, f"{number} {step.name}") for number, step in enumerate(trace.steps)])
        title = printable(f"{trace.name} · {trace.label} · epoch {self._draw + 1}")
        self.query_one(Vertical).border_title = Text(title)
        self.query_one("#figures", Static).update(figures(trace))


def figures(trace: SampleTrace) -> Text:
    """A table with each step's name, shape, number format, min, max and mean, and time."""
    rows: list[tuple[str, ...]] = [("", "", "shape", "format", "min", "max", "mean", "µs per sample")]
    rows += [(str(number), *_cells(step)) for number, step in enumerate(trace.steps)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    text = Text(no_wrap=True, overflow="ellipsis")
    for number, row in enumerate(rows):
        cells = [
            f"{cell:<{width}}" if column < 4 else f"{cell:>{width}}"
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        text.append("  ".join(cells) + "\n", "" if number else "dim")
    timed = "timed in whole batches" if trace.batched else "timed sample by sample"
    return text.append(f"{timed}; each time is what the step adds to the previous ones", "dim")


def _cells(step: TraceStep) -> tuple[str, ...]:
    time = "" if step.microseconds is None else f"{step.microseconds:,.1f}"
    shape = "×".join(map(str, step.shape))
    values = (f"{value:.4g}" for value in (step.minimum, step.maximum, step.mean))
    return (printable(step.name), shape, step.dtype, *values, time)
