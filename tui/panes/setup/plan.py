"""The panel of the plan: checks the draft, counts its steps, estimates its memory, and measures it on request."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from textual import work
from textual.message import Message

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.files.free_disk import free_disk

from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...widgets.panel import FocusableLines
from ...words.figures import progress_words
from ...words.setup.draft_plan import DraftPlan, plan_lines
from ...working import Working
from ..measured_step import measured_step

_PAUSE = 0.3  # seconds without a change of the draft before more than its check is done

ResultT = TypeVar("ResultT")


class PlanPanel(Working, FocusableLines):
    """What the draft's run will be. Works in the worker process, one question after the other.

    Attributes:
        plan: what is known.
        command: shell command that starts the draft.
    """

    @dataclass
    class Changed(Message):
        """More is known."""

        plan: DraftPlan

    def __init__(self, worker: WorkerProcess, runs_root: Path, id: str | None = None) -> None:
        """Create the panel.

        Args:
            worker: process that checks and plans.
            runs_root: folder where the run would be stored.
            id: id of the widget.
        """
        super().__init__("Plan", id=id)
        self.plan: DraftPlan | None = None
        self._worker = worker
        self._runs_root = runs_root
        self._wanted: RunConfig | None = None
        self._is_busy = False
        self._problem = ""
        self._idle: Sequence[tuple[str, str]] = ()
        self.command = ""

    def tell(self, problem: str, idle: Sequence[tuple[str, str]], command: str) -> None:
        """Show what the form knows: a problem, changed settings without effect, and the shell command."""
        self._problem, self._idle, self.command = problem, idle, command
        self._draw_plan()

    def make(self, draft: RunConfig, *, is_again: bool = False) -> None:
        """Check and plan a draft, unless that was done.

        Args:
            draft: config of the next run.
            is_again: whether to do again what failed, since its cause may lie outside the draft.
        """
        failed = self.plan is not None and bool(self.plan.error or self.plan.outline_error or self.plan.memory_error)
        if self._wanted == draft and not (is_again and failed and not self._is_busy):
            return
        before = self.plan
        self._wanted = draft
        self.plan = DraftPlan(draft)
        if before is not None:
            self._keep(before, draft)
        self._draw_plan()
        if not self._is_busy:
            self._is_busy = True
            self._work()

    def _keep(self, before: DraftPlan, draft: RunConfig) -> None:
        """Keep of the last plan what a change of the draft did not touch."""
        assert self.plan is not None
        is_same_step = _step_of(before.draft) == _step_of(draft)
        self.plan = replace(
            self.plan,
            off=before.off,
            outline=before.outline if _course_of(before.draft) == _course_of(draft) else None,
            memory=before.memory if is_same_step else None,
            measured=before.measured if is_same_step else None,
            free_disk=before.free_disk,
        )

    @work(group="plan")
    async def _work(self) -> None:
        try:
            while self.plan is not None and not await self._planned(self.plan.draft):
                # The draft was changed meanwhile.
                continue
        finally:
            self._is_busy = False

    async def _planned(self, draft: RunConfig) -> bool:
        """Plan one draft; False if another one is wanted by now."""
        error = ""
        try:
            await self._worker.call(worker_calls.CHECK_CONFIG, draft)
            off = await self._worker.call(worker_calls.WITHOUT_EFFECT, draft)
        except (TorchdeckError, WorkerError) as raised:
            error, off = str(raised), {}
        if not self._tell(draft, is_checked=True, error=error, off=off):
            return False
        if error:
            return True
        await asyncio.sleep(_PAUSE)
        if self._wanted != draft:
            return False
        assert self.plan is not None
        self._tell(draft, free_disk=free_disk(self._runs_root))
        if self.plan.outline is None:
            outline, why = await self._asked(worker_calls.OUTLINE_RUN, draft, "counting")
            if not self._tell(draft, outline=outline, outline_error=why, planning=""):
                return False
        if self.plan.memory is None:
            memory, why = await self._asked(worker_calls.ESTIMATE_MEMORY, draft, "estimating")
            return self._tell(draft, memory=memory, memory_error=why, planning="")
        return True

    async def _asked(self, function: str, draft: RunConfig, doing: str) -> tuple[object, str]:
        """The answer of the worker process, or None and why there is none; meanwhile the plan says how far it is."""

        def say(what: str, done: int, total: int) -> None:
            if self.plan is not None and self.plan.draft == draft:
                self.plan = replace(self.plan, planning=progress_words(what, done, total))
                self._draw_plan()

        say(doing, 0, 0)
        try:
            return await self._worker.follow(function, draft, on_progress=say), ""
        except (TorchdeckError, WorkerError) as error:
            return None, str(error)

    def _tell(self, draft: RunConfig, **known: object) -> bool:
        """Add to the plan of a draft; False if it is about another draft by now."""
        if self.plan is None or self.plan.draft != draft:
            return False
        self.plan = replace(self.plan, **known)  # type: ignore[arg-type]
        self._draw_plan()
        self.post_message(self.Changed(self.plan))
        return True

    # Measuring

    def measure(self) -> None:
        """Do everything that a start does before its first step, then time a real step; nothing is written."""
        if self.plan is not None:
            self._measure(self.plan.draft)

    def stop_measuring(self) -> bool:
        """End a measurement; False if none is under way."""
        if self.plan is None or not self.plan.work:
            return False
        self.workers.cancel_group(self, "measure")
        self._tell(self.plan.draft, work="")
        return True

    @work(exclusive=True, group="measure")
    async def _measure(self, draft: RunConfig) -> None:
        def say(message: str, done: int, total: int) -> None:
            self._tell(draft, work=progress_words(message, done, total), work_error="")

        say("dry run", 0, 0)
        try:
            found = await self._worker.follow(worker_calls.DRY_RUN, draft, self._runs_root, on_progress=say)
        except (TorchdeckError, WorkerError) as error:
            self._tell(draft, work="", work_error=str(error))
            return
        self._tell(
            draft, notes=tuple(found.plan.notes), is_built=True, memory=found.memory, memory_error=found.memory_note
        )
        memory = found.memory
        if memory is not None and memory.device == "cpu" and memory.peak > memory.free:
            # The system would kill some process, not necessarily this one.
            why = "no step was measured: it exceeds the machine's memory; lower loader.batch_size"
            self._tell(draft, work="", work_error=why)
            return
        self._tell(draft, work="measuring a real step …")
        measured, why = await measured_step(self._worker, draft)
        self._tell(draft, work="", work_error=why, **({"measured": measured} if measured is not None else {}))

    def _draw_plan(self) -> None:
        plan, problem, idle, command = self.plan, self._problem, self._idle, self.command
        if plan is not None:
            self.show(lambda width, height: plan_lines(plan, problem, idle, command, width, height))


def _course_of(config: RunConfig) -> tuple[object, ...]:
    """What steps, saves and learning rates follow from."""
    training = (config.training.epochs, config.training.accumulate)
    saving = (config.checkpoint, config.evaluation.every_steps)
    return config.data, config.loader, config.optimizer, config.schedule, config.seed, training, saving


def _step_of(config: RunConfig) -> tuple[object, ...]:
    """What memory and time of a step follow from."""
    training = config.training.model_copy(update={"epochs": 1})
    return config.data, config.loader, config.model, config.loss, config.optimizer, config.ema, training
