"""The data pane's transforms view: an editor of the train and eval pipelines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from torchdeck.engine.config import Component, DataConfig
from torchdeck.engine.errors import TorchdeckError

from ..plain_text import printable
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..screens.pick import PickEntry, PickScreen
from ..widgets.pipeline_list import PipelineList, PipelineStep, StepKind
from ..working import Working

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import PixelStatistics, StepTier
    from torchdeck.engine.data.transforms.entries import TransformEntry

_TITLES = {"train_transforms": "Add to the train transforms", "eval_transforms": "Add to the eval transforms"}


class TransformsView(Working, Vertical):
    """Both pipelines; a new step is chosen from all transforms."""

    DEFAULT_CSS = """
    TransformsView {
        height: auto;
        & #eval_heading { margin-top: 1; }
    }
    """

    @dataclass
    class Edited(Message):
        """The user changed pipelines.

        Attributes:
            pipelines: steps of "train_transforms", "eval_transforms" or both.
        """

        pipelines: dict[str, list[Component]]

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(id=id)
        self._worker = worker
        self._kinds: list[StepKind] = []
        self._has_all_kinds = False

    def compose(self) -> ComposeResult:
        """Lay out a list for training and one for evaluation."""
        nothing = "none: pixels become floats from 0 to 1; press a to add a transform"
        yield Static("train transforms", classes="heading")
        yield PipelineList(id="train_transforms", empty=nothing)
        yield Static("eval transforms — e copies train", id="eval_heading", classes="heading")
        yield PipelineList(id="eval_transforms", empty=nothing)

    def on_mount(self) -> None:
        """Ask for the list of transforms."""
        self._ask_for_kinds(worker_calls.LIST_TRANSFORMS)

    def ask_for_all_kinds(self) -> None:
        """Also ask for the transforms of other packages; importing them is slow, so only when the user edits."""
        if not self._has_all_kinds and self._kinds:
            self._has_all_kinds = True
            self._ask_for_kinds(worker_calls.LIST_ALBUMENTATIONS)

    def show(self, pipeline: str, specs: Sequence[Component], tiers: Sequence[StepTier] = ()) -> None:
        """Show one of the pipelines.

        Args:
            pipeline: "train_transforms" or "eval_transforms".
            specs: steps of the pipeline.
            tiers: note or error of each step; empty while unknown.
        """
        steps = [PipelineStep(spec.name, spec.arguments) for spec in specs]
        notes = {number: step.tier for number, step in enumerate(tiers) if step.tier}
        errors = {number: step.error for number, step in enumerate(tiers) if step.error}
        self.query_one(f"#{pipeline}", PipelineList).set_steps(steps, notes=notes, errors=errors)

    def unsettled(self) -> str:
        """Which transform is being edited and not applied; empty if none is."""
        step = next((each.unsettled for each in self.query(PipelineList) if each.unsettled), "")
        return f"the transform {step} is typed but not applied yet" if step else ""

    def go_to_unsettled(self) -> None:
        """Put the cursor on the transform that `unsettled` is about."""
        for pipeline in self.query(PipelineList):
            if pipeline.unsettled:
                pipeline.go_to_editor()
                return

    @work(exclusive=True, group="edit")
    async def normalize(self, data: DataConfig, pixels: PixelStatistics) -> None:
        """Set the Normalize of both pipelines to the measured channel statistics."""
        changed = {}
        function = worker_calls.WITH_NORMALIZE
        try:
            for name in _TITLES:
                changed[name] = await self._worker.call(function, getattr(data, name), pixels.mean, pixels.std)
        except (TorchdeckError, WorkerError) as error:
            self.notify(printable(str(error)), severity="warning", markup=False)
            return
        self.post_message(self.Edited(changed))
        of = "every training sample" if pixels.is_whole else f"{pixels.measured:,} training samples"
        self.notify(f"Normalize of both pipelines uses the mean and std of {of}", markup=False)

    @work(exclusive=True, group="edit")
    async def copy_to_eval(self, data: DataConfig, size: tuple[int, int] | None) -> None:
        """Copy the train transforms to evaluation, without the random ones.

        Args:
            data: config with the pipelines.
            size: (height, width) of every image; None if they differ.
        """
        function = worker_calls.FOR_EVALUATION
        try:
            steps, words = await self._worker.call(function, data.train_transforms, size)
        except (TorchdeckError, WorkerError) as error:
            self.notify(printable(str(error)), severity="warning", markup=False)
            return
        self.post_message(self.Edited({"eval_transforms": steps}))
        self.notify(f"Train → eval: {printable(words)}", timeout=8, markup=False)

    @work(group="kinds")
    async def _ask_for_kinds(self, function: str) -> None:
        try:
            entries: list[TransformEntry] = await self._worker.call(function)
        except (TorchdeckError, WorkerError) as error:
            self.notify(f"no completion of transform names: {printable(str(error))}", markup=False)
            return
        self._kinds += [
            StepKind(
                entry.name,
                entry.summary,
                tuple((name, kind, "" if value == "required" else value) for name, value, kind in entry.parameters),
                "batched" if entry.batched else "sample by sample",
            )
            for entry in entries
        ]
        for pipeline in self.query(PipelineList):
            pipeline.set_kinds(self._kinds)

    @on(PipelineList.Changed)
    def _take_pipeline(self, message: PipelineList.Changed) -> None:
        message.stop()
        steps = [Component.model_validate({"name": step.name, **step.arguments}) for step in message.steps]
        self.post_message(self.Edited({str(message.pipeline.id): steps}))

    @on(PipelineList.KindWanted)
    def _offer_kinds(self, message: PipelineList.KindWanted) -> None:
        message.stop()
        pipeline = message.pipeline
        entries = [PickEntry(kind.name, kind.tier, f"{kind.summary}\n{kind.signature}") for kind in self._kinds]

        def take(name: str | None) -> None:
            if name is not None:
                pipeline.take_kind(name)

        self.app.push_screen(PickScreen(_TITLES[str(pipeline.id)], entries), take)
