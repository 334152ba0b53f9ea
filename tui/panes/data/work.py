"""The data pane's work for the worker process: open, sample, measure, compare, make a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from textual import work

from torchdeck.engine.config import RunConfig
from torchdeck.engine.data.datasets.catalog import find_dataset
from torchdeck.engine.errors import TorchdeckError

from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...widgets.progress_line import progress_line
from ...working import Working
from ..pane import Pane
from .about import AboutPanel
from .batch import BatchView
from .catalog import DataCatalog
from .copies import CopiesView
from .numbers import NumbersView, StorageView
from .samples import SamplesView
from .transforms import TransformsView

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import DataLook, DuplicateReport, SampleLook, StepLook

    Say = Callable[[str, int, int], None]

_SAMPLES = 24
_BATCH_SHOWN = 64

# Settings of `[data]` that do not change which samples there are.
_SAME_SAMPLES = {"train_transforms", "eval_transforms", "storage"}


class DataWork(Working, Pane):
    """What is known of the draft's data, and the work that finds it out.

    Attributes:
        worker_process: process that reads data.
        found: the opened data set; None while it is not open.
        samples: samples of it; None while they are made.
        seconds: measured time to read an epoch; None if it was not measured.
        drawn: epoch whose random draws are shown, from 0.
        page: which samples are shown.
        class_index: class of the samples; None for all.
    """

    worker_process: WorkerProcess
    draft: Any

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.found: DataLook | None = None
        self.samples: SampleLook | None = None
        self.seconds: float | None = None
        self.drawn, self.page = 0, 0
        self.class_index: int | None = None
        self._opened: tuple[object, ...] = ()
        self._sampled: tuple[object, ...] = ()
        self._seen: tuple[object, ...] = ()
        # A canceled job ends after the next has begun.
        self._jobs = 0

    def tell_of(self, name: str) -> None:
        """Describe the data set under the cursor of the list."""
        raise NotImplementedError

    def look_when_seen(self) -> None:
        """Open the draft's data, or make its samples, if the pane is shown and they have changed."""
        draft: RunConfig | None = self.draft
        if draft is None or not self.is_on_screen:
            return
        subject = (draft.data.model_dump_json(exclude=_SAME_SAMPLES), draft.seed)
        if subject != self._opened:
            self._opened = subject
            self.class_index, self.page = None, 0
            self.open(draft, is_fresh=False)
        elif self.found is not None:
            self._sample_when_changed(draft)

    def show_class(self, index: int | None) -> None:
        """Show samples of one class, or of all for None."""
        self.class_index = index
        self.look_when_seen()

    def stop_work(self) -> bool:
        """Stop the current work. Returns whether there was any."""
        if not self._jobs:
            return False
        self.workers.cancel_group(self, "work")
        if self.found is None:
            self._opened = ()
            self.query_one(AboutPanel).show_stopped(self.draft.data.dataset)
            return True
        self.query_one(NumbersView).show(self.found, self.samples)
        copies = self.query_one(CopiesView)
        if copies.report is None:
            copies.forget()
        self._seen = ()
        self.app.notify("stopped")
        return True

    def make_batch(self) -> None:
        """Make the batch of the chosen step, unless it is shown already."""
        draft: RunConfig | None = self.draft
        view = self.query_one(BatchView)
        # Made once the data set is open: a second job of this group would cancel the first.
        if draft is not None and self.found is not None and (draft, view.step) != self._seen:
            self._seen = (draft, view.step)
            self._show_step(draft, view.step)

    def _sample_when_changed(self, draft: RunConfig) -> None:
        subject = (draft.data, draft.seed, draft.training.device, self.drawn, self.page, self.class_index)
        if subject != self._sampled:
            self._sampled = subject
            self._sample(draft)

    @work(exclusive=True, group="work")
    async def open(self, draft: RunConfig, is_fresh: bool) -> None:
        """Open the data set, and download it first if the draft says so."""
        self.found, self.samples, self.seconds, self._sampled, self._seen = None, None, None, (), ()
        about, name = self.query_one(AboutPanel), draft.data.dataset
        about.show_progress(name, "opening", 0, 0)
        try:
            look: DataLook = await self._follow(
                worker_calls.LOOK_AT_DATA,
                draft,
                lambda what, done, total: about.show_progress(name, what, done, total),
                is_fresh=is_fresh,
            )
        except (TorchdeckError, WorkerError) as error:
            # The missing data may exist the next time the pane is shown.
            self._opened = ()
            self.add_class("-nothing")
            about.show_wrong(name, str(error), _ways(name))
            return
        self.found = look
        self.remove_class("-nothing")
        catalog = self.query_one(DataCatalog)
        catalog.show(name, draft.data.root)
        catalog.counted(name, look.train_size)
        self.query_one(CopiesView).forget()
        self.query_one(NumbersView).show(look, None)
        self.tell_of(name)
        self.refresh_bindings()
        self._sample_when_changed(draft)
        if self.view == "batch":
            self.make_batch()

    @work(exclusive=True, group="sample")
    async def _sample(self, draft: RunConfig) -> None:
        try:
            samples: SampleLook = await self.worker_process.call(
                worker_calls.LOOK_AT_SAMPLES,
                draft,
                epoch=self.drawn,
                count=_SAMPLES,
                page=self.page,
                class_index=self.class_index,
            )
        except (TorchdeckError, WorkerError) as error:
            self._sampled = ()
            self.query_one(SamplesView).say_wrong(str(error))
            return
        self.samples = samples
        self._show_samples(draft, samples)
        if samples.samples and samples.train_steps and not samples.error:
            # An edit of the pipeline makes samples anew, which cancels this.
            trace = await self.worker_process.call(
                worker_calls.TRACE_SAMPLE, draft, epoch=self.drawn, position=samples.samples[0].index
            )
            self.query_one(TransformsView).show_costs(trace, samples.train_steps, draft.loader.batch_size)

    def _show_samples(self, draft: RunConfig, look: SampleLook) -> None:
        found = self.found
        if found is None:
            return
        transforms = self.query_one(TransformsView)
        transforms.show("train_transforms", draft.data.train_transforms, look.train_steps)
        transforms.show("eval_transforms", draft.data.eval_transforms, look.eval_steps)
        class_name = "" if self.class_index is None else found.classes[self.class_index]
        self.query_one(SamplesView).show(look, self.drawn + 1, class_name, found.train_size)
        self.query_one(NumbersView).show(found, look)
        self.query_one(StorageView).show_samples(look)
        self.tell_of(self.query_one(DataCatalog).name_under_cursor)

    @work(exclusive=True, group="work")
    async def measure(self, draft: RunConfig) -> None:
        """Measure the pixels of every training sample, then how long an epoch is read."""
        numbers = self.query_one(NumbersView)
        say = _saying(numbers)
        say("measuring", 0, 0)
        try:
            if self.found is not None and not self.found.pixels.is_whole:
                pixels = await self._follow(worker_calls.MEASURE_PIXELS, draft, say)
                self.found = self.found.with_pixels(pixels)
            self.seconds = await self._follow(worker_calls.TIME_READING, draft, say)
        except (TorchdeckError, WorkerError) as error:
            numbers.say_wrong(str(error))
            return
        if self.found is not None:
            numbers.show(self.found, self.samples)
            self.query_one(StorageView).show_seconds(self.seconds)
            self.refresh_bindings()

    @work(exclusive=True, group="work")
    async def compare(self, draft: RunConfig, by_pixels: bool) -> None:
        """Compare every sample with every other one."""
        view = self.query_one(CopiesView)
        say = _saying(view)
        say("comparing", 0, 0)
        try:
            report: DuplicateReport = await self._follow(worker_calls.COMPARE_SPLITS, draft, say, by_pixels=by_pixels)
        except (TorchdeckError, WorkerError) as error:
            view.say_wrong(str(error))
            return
        if self.found is not None:
            view.show(report, self.found.classes)
            self.tell_of(self.query_one(DataCatalog).name_under_cursor)

    @work(exclusive=True, group="work")
    async def _show_step(self, draft: RunConfig, step: int) -> None:
        view = self.query_one(BatchView)
        say = _saying(view)
        say(f"making the batch of step {step:,}", 0, 0)
        try:
            seen: StepLook = await self._follow(worker_calls.LOOK_AT_STEP, draft, say, step=step, count=_BATCH_SHOWN)
        except (TorchdeckError, WorkerError) as error:
            self._seen = ()
            view.say_wrong(str(error))
            return
        view.show(seen)

    async def _follow(self, function: str, draft: RunConfig, say: Say, **keywords: object) -> Any:
        """Run a long job that Escape stops."""
        self._jobs += 1
        try:
            return await self.worker_process.follow(function, draft, on_progress=say, **keywords)
        finally:
            self._jobs -= 1


def _saying(view: NumbersView | CopiesView | BatchView) -> Say:
    """Lets a job say in a view how far it is."""

    def say(what: str, done: int, total: int) -> None:
        # A view has no width before it is laid out.
        width = view.size.width or view.screen.size.width // 2
        view.say_progress(progress_line(what, done, total, width))

    return say


def _ways(name: str) -> list[tuple[str, str]]:
    """The keys that help where a data set can't be opened."""
    entry = find_dataset(name)
    ways = [("⏎", "downloads it" if entry is not None and entry.obtain == "download" else "tries again")]
    return [*ways, ("o", "opens a folder, a file or file.py:factory"), ("/", "finds another data set")]
