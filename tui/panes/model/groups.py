"""The parameter groups of the draft's optimizer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import work

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ...drawing import marked, name
from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...widgets.panel import Lines
from ...words.model.groups_text import group_lines
from ...working import Working

if TYPE_CHECKING:
    from torchdeck.engine.preflight.weight_groups import WeightGroups

_PAUSE = 0.3  # seconds without a change of the draft before the weights are grouped


class GroupsPanel(Working, Lines):
    """Groups the weights while it is shown."""

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__("Optimizer groups", id=id)
        self._worker = worker
        self._subject: RunConfig | None = None
        self._grouped: RunConfig | None = None

    def on_show(self) -> None:
        """Group the weights once the panel is shown."""
        self.set_subject(self._subject)

    def set_subject(self, draft: RunConfig | None) -> None:
        """Set the draft; None if its model can't be built."""
        self._subject = draft
        if draft is not None and draft != self._grouped and self.is_on_screen:
            self._grouped = draft
            self.entitle(f"Optimizer groups  [not b $text-muted]{name(draft.optimizer.name)}[/]")
            self._group(draft)

    @work(exclusive=True, group="groups")
    async def _group(self, draft: RunConfig) -> None:
        await asyncio.sleep(_PAUSE)
        try:
            groups: WeightGroups = await self._worker.call(worker_calls.PARAMETER_GROUPS, draft)
        except (TorchdeckError, WorkerError) as error:
            self._grouped = None
            reason = str(error)
            self.show(lambda width, height: marked("[$error]✗[/]", reason, width, "$error"))
            return
        self.show(lambda width, height: group_lines(groups, width))
