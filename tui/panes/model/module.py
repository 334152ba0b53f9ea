"""The module under the cursor: what it is, its weights' distribution, and its gradients in a run."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from textual import work

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.run_files import CHECKPOINTS

from ...drawing import prose
from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...widgets.panel import FocusableLines
from ...words.model.module_text import gradient_lines, inspected_lines, module_lines, weight_lines
from ...working import Working

if TYPE_CHECKING:
    from torchdeck.engine.models.module_tree import ModuleRow
    from torchdeck.engine.preflight.inspection import Inspection
    from torchdeck.engine.preflight.weight_histogram import WeightHistogram
    from torchdeck.engine.runs.reader import RunReader

_PAUSE = 0.25  # seconds that the cursor must rest on a module before its weights are read
_BINS = 48


class ModulePanel(Working, FocusableLines):
    """Shows one module; its weights are read once it has been shown for a moment."""

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__("Module", id=id)
        self._worker = worker
        self._model: tuple[RunConfig, Inspection] | None = None
        self._row: ModuleRow | None = None
        self._reader: RunReader | None = None
        self._weights_of: tuple[object, ...] = ()
        self._weights: tuple[list[WeightHistogram], str] | str = ""

    def set_model(self, draft: RunConfig, inspection: Inspection) -> None:
        """Show another model, or the same one in another state."""
        self._model, self._row, self._weights_of, self._weights = (draft, inspection), None, (), ""

    def set_run(self, reader: RunReader | None) -> None:
        """Show the gradients and weights of a run of this model; None for no run."""
        self._reader = reader
        self._show()
        self._read_weights_if_seen()

    def show_module(self, path: str) -> None:
        """Show another module of the model."""
        if self._model is None:
            return
        row = next((row for row in self._model[1].report.modules if row.path == path), None)
        if row is None or row is self._row:
            return
        self._row, self._weights = row, ""
        self._show()
        self._read_weights_if_seen()

    def on_show(self) -> None:
        """Read the weights when the panel is shown."""
        self._read_weights_if_seen()

    def in_full(self, width: int) -> list[str]:
        """Everything that is known of the module, as lines of markup."""
        if self._row is None or self._model is None:
            return []
        lines = inspected_lines(self._row, self._model[1].report, width)
        return [*lines, "", *self._seen_in_a_run(width), *self._weight_lines(width)]

    def _show(self) -> None:
        self.show(self._lines_for)

    def _lines_for(self, width: int, height: int) -> list[str]:
        if self._row is None or self._model is None:
            return ["[$text-muted]the module under the cursor of the tree[/]"]
        lines = module_lines(self._row, self._model[1].report, width)
        more = [*self._seen_in_a_run(width), *self._weight_lines(width)]
        docs = self._model[1].report.docs.get(self._row.type, "")
        words = ["", *(f"[$text-muted]{line}[/]" for line in prose(docs, width))] if docs else []
        # The first sentence of the documentation, where there is room for all of the rest.
        room = height - len(lines) - len(more) - 1
        return [*lines, *(words if len(words) <= room else []), "", *more]

    def _seen_in_a_run(self, width: int) -> list[str]:
        if self._row is None or self._reader is None or not self._row.trainable:
            return []
        return gradient_lines(*self._reader.gradients().history(self._row.path), width=width)

    def _weight_lines(self, width: int) -> list[str]:
        if isinstance(self._weights, str):
            return [f"[$text-muted]{line}[/]" for line in prose(self._weights, width)] if self._weights else []
        return weight_lines(*self._weights, width=width)

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
                source = f"at the start, seed {draft.seed}"
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
            self._weights = list(histograms), source
        except (TorchdeckError, WorkerError) as error:
            # Try again the next time it is shown.
            self._weights_of = ()
            self._weights = f"weights not shown: {error}"
        self._show()
