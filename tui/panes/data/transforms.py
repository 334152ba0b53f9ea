"""The data pane's transforms: an editor of the train and eval pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on, work
from textual.message import Message

from torchdeck.engine.config import Component, DataConfig
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.plurals import plural

from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...screens.pick import PickEntry, PickScreen
from ...screens.transform import TransformScreen
from ...widgets.pipeline_list import PipelineList, PipelineStep, StepKind, StepNote
from ...words.data.transform_text import parameter_words
from ...working import Working

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import PixelStatistics, SampleTrace, StepTier
    from torchdeck.engine.data.transforms.entries import TransformEntry

_TITLE = "Transforms"
TRAIN, EVAL = "train_transforms", "eval_transforms"
_SECTIONS = {TRAIN: ("Train", ""), EVAL: ("Eval", "w takes it from train")}
_TITLES = {TRAIN: "Add to the train transforms", EVAL: "Add to the eval transforms"}
_NOTHING = "none · a adds one"


class TransformsView(Working, PipelineList):
    """Both pipelines; a new step is chosen from all transforms, and its arguments are typed into a form."""

    @dataclass
    class Edited(Message):
        """The user changed pipelines.

        Attributes:
            pipelines: steps of "train_transforms", "eval_transforms" or both.
        """

        pipelines: dict[str, list[Component]]

    class EvalWanted(Message):
        """The user wants the train transforms in eval, without the random ones."""

    class TraceWanted(Message):
        """The user wants to see a sample after each step."""

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(_TITLE, _SECTIONS, count_words=lambda count: plural(count, "step"), empty=_NOTHING, id=id)
        self._worker = worker
        self._kinds: dict[str, StepKind] = {}

    def show(self, section: str, specs: Sequence[Component], tiers: Sequence[StepTier] = ()) -> None:
        """Show one of the pipelines.

        Args:
            section: "train_transforms" or "eval_transforms".
            specs: steps of the pipeline.
            tiers: note or error of each step; empty while unknown.
        """
        notes = [StepNote(tier.tier, tier.is_batched, tier.error) for tier in tiers]
        self.set_steps(section, [PipelineStep(spec.name, spec.arguments) for spec in specs], notes)

    def show_costs(self, trace: SampleTrace, tiers: Sequence[StepTier], batch_size: int) -> None:
        """Show what the train transforms of a traced sample cost."""
        costs = [step.microseconds for step in trace.steps[1 : 1 + len(tiers)]]
        notes = [
            StepNote(tier.tier, tier.is_batched, tier.error, cost)
            for tier, cost in zip(tiers, [*costs, *[None] * (len(tiers) - len(costs))], strict=True)
        ]
        self.set_steps(TRAIN, self.steps(TRAIN), notes)
        known = [cost for cost in costs if cost is not None]
        milliseconds = sum(known) * batch_size / 1000
        how = "batched" if trace.batched else "per sample"
        self.set_total(f"{how}: {milliseconds:.1f} ms per batch" if known else "")

    @work(exclusive=True, group="edit")
    async def normalize(self, data: DataConfig, pixels: PixelStatistics) -> None:
        """Set the Normalize of both pipelines to the measured channel statistics."""
        changed = {}
        function = worker_calls.WITH_NORMALIZE
        try:
            for name in _TITLES:
                changed[name] = await self._worker.call(function, getattr(data, name), pixels.mean, pixels.std)
        except (TorchdeckError, WorkerError) as error:
            self.app.notify(str(error), severity="warning")
            return
        self.post_message(self.Edited(changed))
        of = "every training sample" if pixels.is_whole else f"{pixels.measured:,} training samples"
        self.app.notify(f"Normalize of both pipelines uses the mean and std of {of}")

    @work(exclusive=True, group="edit")
    async def copy_to_eval(self, data: DataConfig, size: tuple[int, int] | None) -> None:
        """Copy the train transforms to evaluation, without the random ones.

        Args:
            data: config with the pipelines.
            size: (height, width) of every image; None if they differ.
        """
        try:
            steps, words = await self._worker.call(worker_calls.FOR_EVALUATION, data.train_transforms, size)
        except (TorchdeckError, WorkerError) as error:
            self.app.notify(str(error), severity="warning")
            return
        self.post_message(self.Edited({EVAL: steps}))
        self.app.notify(words, title="Train → eval", timeout=8)

    def action_write(self) -> None:
        """Take the train transforms into eval."""
        self.post_message(self.EvalWanted())

    def action_trace(self) -> None:
        """Show a sample after each step."""
        self.post_message(self.TraceWanted())

    async def _ask_for_kinds(self) -> bool:
        """Ask once for all transforms, those of other packages too. Returns whether they are known."""
        if self._kinds:
            return True
        self.entitle(f"{_TITLE}  [not b $text-muted]reading what there is …[/]")
        try:
            for function in (worker_calls.LIST_TRANSFORMS, worker_calls.LIST_ALBUMENTATIONS):
                entries: list[TransformEntry] = await self._worker.call(function)
                self._kinds |= {entry.name: _kind(entry) for entry in entries}
        except (TorchdeckError, WorkerError) as error:
            self.app.notify(f"the transforms can't be listed: {error}", severity="warning")
        finally:
            self.entitle(_TITLE)
        return bool(self._kinds)

    @on(PipelineList.Changed)
    def _take_pipeline(self, message: PipelineList.Changed) -> None:
        message.stop()
        self.post_message(self.Edited({message.section: [_component(step) for step in message.steps]}))

    @on(PipelineList.KindWanted)
    @work(exclusive=True, group="choice")
    async def _add(self, message: PipelineList.KindWanted) -> None:
        message.stop()
        if not await self._ask_for_kinds():
            return
        entries = [PickEntry(kind.name, kind.summary, _details(kind)) for kind in self._kinds.values()]
        chosen = await self.app.push_screen_wait(PickScreen(_TITLES[message.section], entries))
        if chosen is None:
            return
        step: PipelineStep | None = PipelineStep(chosen)
        if self._kinds[chosen].parameters:
            step = await self.app.push_screen_wait(TransformScreen(self._kinds[chosen], self._mistake_in))
        if step is not None:
            self.insert(message.section, step)

    @on(PipelineList.EditWanted)
    @work(exclusive=True, group="choice")
    async def _edit(self, message: PipelineList.EditWanted) -> None:
        message.stop()
        await self._ask_for_kinds()
        step = self.steps(message.section)[message.index]
        kind = self._kinds.get(step.name, StepKind(step.name))
        changed = await self.app.push_screen_wait(TransformScreen(kind, self._mistake_in, step))
        if changed is not None:
            self.replace(message.section, message.index, changed)

    async def _mistake_in(self, step: PipelineStep) -> str:
        """Why a typed step can't be used."""
        try:
            tiers: list[StepTier] = await self._worker.call(worker_calls.STEP_TIERS, [_component(step)], step.name)
        except (TorchdeckError, WorkerError) as error:
            return str(error)
        return next((tier.error.removeprefix(f"{step.name}[0]: ") for tier in tiers), "")


def _kind(entry: TransformEntry) -> StepKind:
    tier = "Runs on whole batches" if entry.batched else "Runs sample by sample"
    return StepKind(entry.name, entry.summary, parameter_words(entry.parameters), tier)


def _details(kind: StepKind) -> str:
    needed = [parameter.name for parameter in kind.parameters if not parameter.default]
    given = [f"{parameter.name} = {parameter.default}" for parameter in kind.parameters if parameter.default]
    lines = [f"{kind.summary}.", f"{kind.tier}."]
    if needed:
        lines.append(f"needs {', '.join(needed)}")
    return "\n".join([*lines, *([", ".join(given)] if given else [])])


def _component(step: PipelineStep) -> Component:
    return Component.model_validate({"name": step.name, **step.arguments})
