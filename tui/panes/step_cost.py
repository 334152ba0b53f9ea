"""What the draft's training step takes of memory and time, before anything is started."""

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

_PAUSE = 0.3  # seconds that a draft has to stand still before it is looked at
_MEASURE = "M measures a real step, in a process of its own"


class StepCost(Working, Widget):
    """A memory bar, the largest batch that fits, and on request a real step; works only while it is shown."""

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
        """One text."""
        yield Static(id="cost", markup=False)

    @property
    def is_shown(self) -> bool:
        """Whether it takes part of the screen."""
        return self.has_class("-shown")

    def toggle(self) -> None:
        """Show it, or take it away and leave off."""
        self.toggle_class("-shown")
        if self.is_shown:
            self._begin()
        else:
            self.workers.cancel_node(self)

    def set_subject(self, draft: RunConfig, inspection: Inspection | None) -> None:
        """Look at another draft, once it is shown.

        Args:
            draft: the run.
            inspection: its model, for the shape of its data; None when it can't be built.
        """
        subject = (draft, inspection) if inspection is not None else None
        if subject == self._subject:
            return
        self._subject = subject
        self.workers.cancel_node(self)
        if self.is_shown:
            self._begin()

    def measure(self) -> None:
        """Run a real step in a process that is thrown away."""
        if self._subject is None:
            return
        if not self.is_shown:
            self.toggle()
        self._measure(*self._subject)

    def _begin(self) -> None:
        if self._subject is None:
            self._say("the model can't be built, so there is nothing to estimate", "dim")
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
            refusal = "a step is measured on the data, and they are not there"
        elif self._overflows_memory:
            # The system would end some process, and not always this one.
            refusal = "not measured: by estimate it does not fit into the machine's memory; lower loader.batch_size"
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
            more = "; the system may have ended it for the memory it took" if "SIGKILL" in str(error) else ""
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
