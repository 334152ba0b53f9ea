"""Shows what is inside a checkpoint file of torchdeck or any other program, without running code from it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import DataTable, Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..messages import DraftEdited
from ..plain_text import printable, printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.key_line import KeyLine
from ..words.checkpoint_text import report_text, standing_text, tensor_cells
from ..working import Working
from .dialog import OVER_KEYS, OverScreen
from .exporting import ask_and_export

if TYPE_CHECKING:
    from torchdeck.engine.tensor_files.checkpoint_file import CheckpointReport

_COLUMNS = (("shape", 13), ("dtype", 8), ("size", 7), ("norm", 8))
_PADDING = 2 * (len(_COLUMNS) + 1) + 1


class CheckpointScreen(Working, OverScreen[None]):
    """The tensors of a file, the settings that differ from the draft's, and whether it can resume bit-exactly."""

    DEFAULT_CSS = """
    CheckpointScreen {
        & > #about { height: auto; max-height: 9; padding: 0 1; background: $surface; }
        & > DataTable { height: 2fr; background: $surface; }
        & > VerticalScroll { height: 1fr; min-height: 5; padding: 0 1; background: $surface; }
        & Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss", "Back"),
        Binding("n", "norms", "Norms"),
        Binding("w", "export", "Export"),
        Binding("W", "export_averaged", "Export EMA weights", show=False),
        Binding("u", "use_weights", "Use the weights in the draft"),
    ]

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
        yield Static(Text(f"{printable(str(self._path))}", style="bold"), id="about")
        yield DataTable(id="tensors", cursor_type="row")
        with VerticalScroll():
            yield Static(id="standing", markup=False)
        yield KeyLine(OVER_KEYS)

    def on_mount(self) -> None:
        """Read the file's tables, which takes milliseconds, then ask the worker for the comparison."""
        self._look()

    @work(exclusive=True)
    async def _look(self) -> None:
        from torchdeck.engine.tensor_files.checkpoint_file import inspect_checkpoint

        try:
            self._report = report = await asyncio.to_thread(inspect_checkpoint, self._path)
        except TorchdeckError as error:
            self.query_one("#about", Static).update(Text(printable_lines(str(error)), style="red"))
            return
        self.query_one("#about", Static).update(report_text(report))
        self._fill(report)
        standing = self.query_one("#standing", Static)
        if not report.config:
            standing.update(
                Text("press u to start the draft's model from these weights, then 2 to see what fits", style="dim")
            )
            return
        standing.update(Text("comparing with the draft and this machine …", style="dim"))
        try:
            found = await self._worker.call(worker_calls.COMPATIBILITY, self._path, self._draft)
        except (TorchdeckError, WorkerError) as error:
            standing.update(Text(printable_lines(str(error)), style="red"))
            return
        standing.update(standing_text(found))

    def _fill(self, report: CheckpointReport) -> None:
        table = self.query_one("#tensors", DataTable)
        cursor = table.cursor_row
        table.clear(columns=True)
        name_width = max(20, self.size.width - sum(width for _, width in _COLUMNS) - _PADDING)
        for title, width in (("tensor", name_width), *_COLUMNS):
            table.add_column(title, width=width)
        table.add_rows(tensor_cells(tensor, self._norms, name_width) for tensor in report.tensors)
        table.move_cursor(row=cursor)

    def on_resize(self) -> None:
        """Fit the columns to the width."""
        if self._report is not None:
            self._fill(self._report)

    @work(exclusive=True, group="norms")
    async def action_norms(self) -> None:
        """Compute the norm of every tensor."""
        if self._report is None:
            return
        self.app.notify("reading every tensor …", markup=False)
        try:
            self._norms = await self._worker.call(worker_calls.TENSOR_NORMS, self._path)
        except (TorchdeckError, WorkerError) as error:
            self.app.notify(printable(str(error)), severity="warning", markup=False)
            return
        self._fill(self._report)

    @work(exclusive=True, group="export")
    async def action_export(self) -> None:
        """Ask for a file, and export the weights or the model to it."""
        await ask_and_export(self.app, self._worker, self._path, averaged=False)

    @work(exclusive=True, group="export")
    async def action_export_averaged(self) -> None:
        """Export the averaged weights."""
        await ask_and_export(self.app, self._worker, self._path, averaged=True)

    def action_use_weights(self) -> None:
        """Make the draft's model start from these weights."""
        self.app.post_message(DraftEdited("model.weights", str(self._path.absolute())))
        self.app.notify("the draft's model starts from these weights: press 2 to see which ones fit", markup=False)
        self.dismiss()
