"""Memory and time of the draft's training step, before a run is started."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from textual import work

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ...drawing import marked
from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...widgets.panel import FocusableLines
from ...words.model.model_text import largest_line, measured_lines, memory_lines
from ...working import Working
from ..measured_step import measured_step

if TYPE_CHECKING:
    from torchdeck.engine.preflight.inspection import Inspection
    from torchdeck.engine.preflight.memory_estimate import MemoryEstimate

_PAUSE = 0.3  # seconds without a change of the draft before it is estimated
_HINT = "[b $key]m[/] [$text-muted]measure a real step (separate process)[/]"


class MemoryPanel(Working, FocusableLines):
    """A memory bar, the largest batch that fits and, on request, a measured step. Works only while it is shown."""

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__("Memory of a step", id=id)
        self._worker = worker
        self._subject: tuple[RunConfig, Inspection] | None = None
        self._estimated: tuple[RunConfig, Inspection] | None = None
        self._estimate_made: MemoryEstimate | None = None
        self._words: list[str] = []
        self._wrong = ""
        self._overflows_memory = False
        self._is_impossible = False

    def on_show(self) -> None:
        """Estimate once the panel is shown."""
        self._begin()

    def set_subject(self, draft: RunConfig, inspection: Inspection | None) -> None:
        """Set the draft; it is estimated while this panel is shown.

        Args:
            draft: config of the run.
            inspection: inspected model, which holds the shape of the data; None if it can't be built.
        """
        subject = (draft, inspection) if inspection is not None else None
        self._is_impossible = subject is None
        if subject is not None and subject == self._subject:
            return
        self._subject = subject
        self.workers.cancel_node(self)
        self._begin()

    def measure(self) -> None:
        """Run a real step in a temporary process."""
        if self._subject is None:
            self.app.notify("the model can't be built", title="Nothing to measure", severity="warning")
            return
        self._measure(*self._subject)

    def _begin(self) -> None:
        if not self.is_on_screen:
            return
        if self._subject is None:
            words = "no estimate: the model can't be built" if self._is_impossible else "reading the model …"
            self._say(None, f"[$text-muted]{words}[/]")
        elif self._subject != self._estimated:
            self._estimate(*self._subject)

    @work(exclusive=True, group="estimate")
    async def _estimate(self, draft: RunConfig, inspection: Inspection) -> None:
        await asyncio.sleep(_PAUSE)
        self._say(self._estimate_made, "[$text-muted]estimating the memory of a step …[/]")
        try:
            estimate = await self._worker.call(worker_calls.ESTIMATE_MEMORY, draft)
            self._overflows_memory = estimate.device == "cpu" and estimate.peak > estimate.free
            self._say(estimate, "[$text-muted]looking for the largest batch that fits …[/]", _HINT)
            largest = await self._worker.call(worker_calls.ESTIMATE_LARGEST_BATCH, draft)
        except (TorchdeckError, WorkerError) as error:
            self._estimated = None
            self._say(None, _HINT, wrong=str(error))
            return
        self._estimated = (draft, inspection)
        self._say(estimate, largest_line(largest), _HINT)

    @work(exclusive=True, group="measure")
    async def _measure(self, draft: RunConfig, inspection: Inspection) -> None:
        refusal = ""
        if inspection.assumption:
            refusal = "measuring a step needs the data, and the data are missing"
        elif self._overflows_memory:
            # The system would kill some process, not necessarily this one.
            refusal = "the estimate exceeds the machine's memory; lower loader.batch_size"
        if refusal:
            self.app.notify(refusal, title="Not measured", severity="warning")
            return
        self._say(self._estimate_made, *self._words[:1], "[$text-muted]measuring a real step …[/]")
        measured, why = await measured_step(self._worker, draft)
        self._say(self._estimate_made, *self._words[:1], *(measured_lines(measured) if measured else ()), wrong=why)

    def _say(self, estimate: MemoryEstimate | None, *words: str, wrong: str = "") -> None:
        self._estimate_made, self._words, self._wrong = estimate, list(words), wrong
        self.show(self._lines_for)

    def _lines_for(self, width: int, height: int) -> list[str]:
        known = memory_lines(self._estimate_made, width) if self._estimate_made else []
        return [*known, *marked("[$error]✗[/]", self._wrong, width, "$error"), *self._words]
