"""The parameter groups of the draft's optimizer."""

from __future__ import annotations

from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..drawing import escape, name
from ..keys.bindings import bindings
from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.model.groups_text import groups_text
from ..working import Working
from .dialog import OverScreen


class GroupsScreen(Working, OverScreen[None]):
    """Groups the weights in the worker process and lists the groups."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("groups")

    def __init__(self, draft: RunConfig, worker: WorkerProcess) -> None:
        """Create the screen; the groups are computed when it is shown.

        Args:
            draft: config of the next run.
            worker: process that builds its model, without weights.
        """
        super().__init__()
        self._draft = draft
        self._worker = worker

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        with Vertical(classes="dialog -large") as box:
            box.border_title = f"Parameter groups of {name(self._draft.optimizer.name)}"
            box.border_subtitle = "[b]Esc[/] closes"
            with VerticalScroll(classes="-fill"):
                yield Static("[$text-muted]grouping the weights …[/]", id="groups")

    def on_mount(self) -> None:
        """Start to group the weights."""
        self._sort()

    @work(exclusive=True)
    async def _sort(self) -> None:
        try:
            text = groups_text(await self._worker.call(worker_calls.PARAMETER_GROUPS, self._draft))
        except (TorchdeckError, WorkerError) as error:
            text = f"[$error]{escape(printable_lines(str(error)))}[/]"
        self.query_one("#groups", Static).update(text)
