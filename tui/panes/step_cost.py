"""Memory and time of the draft's training step, before a run is started."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError

from ..plain_text import printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..words.memory_text import largest_text, measured_text, memory_text
from ..working import Working

if TYPE_CHECKING:
    from torchdeck.engine.preflight.inspection import Inspection

_PAUSE = 0.3  # seconds without a change of the draft before it is estimated
_MEASURE = "M: measure a real step (separate process)"


class StepCost(Working, Widget):
    """A memory bar, the largest batch that fits and, on request, a measured step. Works only while it is shown."""

    DEFAULT_CSS = """
    StepCost { height: auto; max-height: 50%; display: none; border-top: solid $panel-lighten-1; }
    StepCost.-shown { display: block; }
    StepCost > Static { height: auto; }
    """

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(id=id)
        self._worker = worker
        self._subject: tuple[RunConfig, Inspection] | None = None
        self._estimated: tuple[RunConfig, Inspection] | None = None
        self._lines: dict[str, Text] = {}
        self._overflows_memory = False

    def compose(self) -> ComposeResult:
        """Lay out the text."""
        yield Static(id="cost", markup=False)

    @property
    def is_shown(self) -> bool:
        """Whether it is displayed."""
        return self.has_class("-shown")

    def toggle(self) -> None:
        """Show it, or hide it and stop its work."""
        self.toggle_class("-shown")
        if self.is_shown:
            self._begin()
        else:
            self.workers.cancel_node(self)

    def set_subject(self, draft: RunConfig, inspection: Inspection | None) -> None:
        """Set the draft; it is estimated while this widget is shown.

        Args:
            draft: config of the run.
            inspection: inspected model, which holds the shape of the data; None if it can't be built.
        """
        subject = (draft, inspection) if inspection is not None else None
        if subject == self._subject:
            return
        self._subject = subject
        self.workers.cancel_node(self)
        if self.is_shown:
            self._begin()

    def measure(self) -> None:
        """Run a real step in a temporary process."""
        if self._subject is None:
            return
        if not self.is_shown:
            self.toggle()
        self._measure(*self._subject)

    def _begin(self) -> None:
        if self._subject is None:
            self._say("no estimate: the model can't be built", "dim")
        elif self._subject != self._estimated:
            self._estimate(*self._subject)

    @work(exclusive=True, group="estimate")
    async def _estimate(self, draft: RunConfig, inspection: Inspection) -> None:
        await asyncio.sleep(_PAUSE)
        self._say("estimating the memory of a step …", "dim")
        try:
            estimate = await self._worker.call(worker_calls.ESTIMATE_MEMORY, draft)
            self._overflows_memory = estimate.device == "cpu" and estimate.peak > estimate.free
            self._lines = {"estimate": memory_text(estimate, max(20, self.size.width - 2))}
            self._lines["largest"] = Text("looking for the largest batch that fits …", style="dim")
            self._lines["hint"] = Text(_MEASURE, style="dim")
            self._update()
            largest = await self._worker.call(worker_calls.ESTIMATE_LARGEST_BATCH, draft)
        except (TorchdeckError, WorkerError) as error:
            self._estimated = None
            self._say(str(error), "red")
            self._lines["hint"] = Text(_MEASURE, style="dim")
            self._update()
            return
        self._estimated = (draft, inspection)
        self._lines["largest"] = largest_text(largest)
        self._update()

    @work(exclusive=True, group="measure")
    async def _measure(self, draft: RunConfig, inspection: Inspection) -> None:
        refusal = ""
        if inspection.assumption:
            refusal = "measuring a step needs the data, and the data are missing"
        elif self._overflows_memory:
            # The system would kill some process, not necessarily this one.
            refusal = "not measured: the estimate exceeds the machine's memory; lower loader.batch_size"
        if refusal:
            self._lines["hint"] = Text(refusal, style="yellow")
            self._update()
            return
        self._lines["hint"] = Text("measuring a real step …", style="dim")
        self._update()
        process = self._worker.another()
        try:
            measured = await process.call(worker_calls.MEASURE_STEP, draft)
            self._lines["hint"] = measured_text(measured)
        except TorchdeckError as error:
            self._lines["hint"] = Text(printable_lines(str(error)), style="red")
        except WorkerError as error:
            more = "; the system may have killed it for using too much memory" if "SIGKILL" in str(error) else ""
            self._lines["hint"] = Text(printable_lines(f"{error}{more}"), style="red")
        finally:
            await process.close()
        self._update()

    def _say(self, text: str, style: str = "") -> None:
        self._lines = {"estimate": Text(printable_lines(text), style=style)}
        self._update()

    def _update(self) -> None:
        for line in self.query("#cost").results(Static):
            line.update(Text("\n").join(self._lines.values()))
