"""Details of one module of the draft's model: documentation, tensors, weights, and gradients in a run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.run_files import CHECKPOINTS

from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.module_text import gradient_text, histogram_text, module_text
from ..working import Working

if TYPE_CHECKING:
    from torchdeck.engine.models.module_tree import ModuleRow
    from torchdeck.engine.preflight.inspection import Inspection
    from torchdeck.engine.runs.reader import RunReader

_PAUSE = 0.25  # seconds that the cursor must rest on a module before its weights are read
_BINS = 48


class ModuleDetail(Working, VerticalScroll):
    """Shows one module; its weights are read once it has been shown for a moment."""

    DEFAULT_CSS = """
    ModuleDetail { padding: 0 1; }
    ModuleDetail > Static { height: auto; margin-bottom: 1; }
    """

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(id=id)
        self._worker = worker
        self._model: tuple[RunConfig, Inspection] | None = None
        self._row: ModuleRow | None = None
        self._reader: RunReader | None = None
        self._weights_of: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay out the description, the gradients and the weights."""
        yield Static(id="words", markup=False)
        yield Static(id="gradients", markup=False)
        yield Static(id="weights", markup=False)

    def set_model(self, draft: RunConfig, inspection: Inspection) -> None:
        """Show another model, or the same one in another state."""
        self._model, self._row, self._weights_of = (draft, inspection), None, ()

    def set_run(self, reader: RunReader | None) -> None:
        """Show the gradients and weights of a run of this model; None for no run.

        Args:
            reader: reader of the run.
        """
        self._reader = reader
        self._show_gradients()
        self._read_weights_if_seen()

    def show_module(self, path: str) -> None:
        """Show another module of the model."""
        if self._model is None:
            return
        report = self._model[1].report
        row = next((row for row in report.modules if row.path == path), None)
        if row is None or row is self._row:
            return
        self._row = row
        self.query_one("#words", Static).update(module_text(row, report))
        self.query_one("#weights", Static).update("")
        self.scroll_home(animate=False)
        self._show_gradients()
        self._read_weights_if_seen()

    def on_show(self) -> None:
        """Read the weights when the detail is shown."""
        self._read_weights_if_seen()

    def _show_gradients(self) -> None:
        text = Text()
        if self._row is not None and self._reader is not None:
            records = self._reader.gradients()
            if self._row.trainable:
                text = gradient_text(*records.history(self._row.path), width=max(40, self.size.width - 2))
        self.query_one("#gradients", Static).update(text)

    def _read_weights_if_seen(self) -> None:
        if self._row is None or self._model is None or not self.is_on_screen:
            return
        names = [tensor.name for tensor in (*self._row.parameters, *self._row.own_buffers)]
        checkpoint = self._newest_checkpoint()
        subject = (self._row.path, checkpoint)
        if names and subject != self._weights_of:
            self._weights_of = subject
            self._read_weights(self._row.alias_of or self._row.path, names, checkpoint, *self._model)

    def _newest_checkpoint(self) -> Path | None:
        if self._reader is None:
            return None
        files = [self._reader.path / CHECKPOINTS / entry.file for entry in self._reader.checkpoints()]
        return files[0] if files else None

    @work(exclusive=True, group="weights")
    async def _read_weights(
        self, path: str, names: list[str], checkpoint: Path | None, draft: RunConfig, inspection: Inspection
    ) -> None:
        await asyncio.sleep(_PAUSE)
        try:
            if checkpoint is not None:
                source = f"in {checkpoint.name}"
                histograms = await self._worker.call(worker_calls.SAVED_HISTOGRAMS, checkpoint, path, names, _BINS)
            else:
                source = f"at the start of a run with seed {draft.seed}"
                histograms = await self._worker.call(
                    worker_calls.FRESH_HISTOGRAMS,
                    draft.model,
                    draft.seed,
                    inspection.num_classes,
                    inspection.input_shape,
                    path,
                    names,
                    _BINS,
                )
            text = histogram_text(histograms, source)
        except (TorchdeckError, WorkerError) as error:
            # Try again the next time it is shown.
            self._weights_of = ()
            text = Text(printable_lines(f"weights not shown: {error}"), style="dim")
        self.query_one("#weights", Static).update(text)
