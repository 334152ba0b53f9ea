"""Shows what is inside a checkpoint file of torchdeck or any other program, without running code from it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..drawing import escape, name
from ..keys.bindings import bindings
from ..messages import WeightsChosen
from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.key_line import KeyLine
from ..widgets.panel import Box
from ..widgets.rows import Rows
from ..widgets.table import layout
from ..words.runs.checkpoint_text import TENSOR_COLUMNS, TensorRow, report_text, standing_text
from ..working import Working
from .dialog import OVER_KEYS, OverScreen
from .exporting import ask_and_export

if TYPE_CHECKING:
    from torchdeck.engine.tensor_files.checkpoint_file import CheckpointReport


class CheckpointScreen(Working, OverScreen[None]):
    """The tensors of a file, the settings that differ from the draft's, and whether it can resume bit-exactly."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("checkpoint")

    def __init__(self, path: Path, worker: WorkerProcess, draft: RunConfig) -> None:
        """Create the screen without reading the file.

        Args:
            path: the file.
            worker: process that computes with torch.
            draft: config of the next run, to compare with the file's config.
        """
        super().__init__()
        self._path = path
        self._worker = worker
        self._draft = draft
        self._report: CheckpointReport | None = None
        self._norms: dict[str, float] = {}

    def compose(self) -> ComposeResult:
        """Lay out the summary, the tensors, and the comparison with the draft."""
        with Box(title=f"Checkpoint  [not bold $text-muted]{name(str(self._path))}[/]", id="file"):
            yield Static("[$text-muted]reading …[/]", id="about")
        yield Rows("Tensors", id="tensors")
        with Box(title="Beside your draft", id="comparison"), VerticalScroll():
            yield Static(id="standing")
        yield KeyLine(OVER_KEYS)

    def on_mount(self) -> None:
        """Read the file's tables, which takes milliseconds, then ask the worker for the comparison."""
        self.query_one(Rows).focus()
        self._look()

    @work(exclusive=True)
    async def _look(self) -> None:
        from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint

        about = self.query_one("#about", Static)
        try:
            self._report = report = await asyncio.to_thread(inspect_checkpoint, self._path)
        except TorchdeckError as error:
            about.update(f"[$error]✗ {escape(printable_lines(str(error)))}[/]")
            return
        about.update(report_text(report, has_title=True))
        self._show_tensors(report)
        standing = self.query_one("#standing", Static)
        if not report.config:
            standing.update("[b $key]w[/] starts the draft's model from these weights; then 2 Model shows which fit")
            return
        standing.update("[$text-muted]comparing with the draft and this machine …[/]")
        try:
            found = await self._worker.call(worker_calls.COMPATIBILITY, self._path, self._draft)
        except (TorchdeckError, WorkerError) as error:
            standing.update(f"[$error]✗ {escape(printable_lines(str(error)))}[/]")
            return
        standing.update(standing_text(found))

    def _show_tensors(self, report: CheckpointReport) -> None:
        rows = [TensorRow(tensor, self._norms.get(tensor.name)) for tensor in report.tensors]
        self.query_one(Rows).set_rows(
            len(rows),
            lambda index, width: layout(TENSOR_COLUMNS, width).line(rows[index]),
            head=lambda width: [layout(TENSOR_COLUMNS, width).head()],
            empty=lambda width, height: ["[$text-muted]no tensors[/]"],
        )

    @work(exclusive=True, group="norms")
    async def action_norms(self) -> None:
        """Compute the norm of every tensor."""
        if self._report is None:
            return
        tensors = self.query_one(Rows)
        tensors.entitle("Tensors  [not bold $text-muted]measuring …[/]")
        try:
            self._norms = await self._worker.call(worker_calls.TENSOR_NORMS, self._path)
        except (TorchdeckError, WorkerError) as error:
            self.app.notify(str(error), title="Norms", severity="warning")
        tensors.entitle("Tensors")
        self._show_tensors(self._report)

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Ask for a file, and export the weights or the model to it."""
        await ask_and_export(self.app, self._worker, self._path, averaged=False)

    @work(exclusive=True, group="export")
    async def action_export_averaged(self) -> None:
        """Export the averaged weights."""
        await ask_and_export(self.app, self._worker, self._path, averaged=True)

    def action_copy_path(self) -> None:
        """Copy the path to the terminal's clipboard."""
        path = str(self._path.absolute())
        self.app.copy_to_clipboard(path)
        self.app.notify(path, title="Copied")

    def action_use_weights(self) -> None:
        """Make the draft's model start from these weights."""
        self.app.post_message(WeightsChosen(str(self._path.absolute())))
        self.app.notify("2 Model shows which of them fit; u undoes it", title="The draft starts from these weights")
        self.dismiss()
