"""The data pane: choose a data set and its transforms, and preview the model's input."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.reactive import reactive
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.data.datasets.catalog import find_dataset
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.user_trust import code_files

from ..messages import DraftReplaced
from ..plain_text import printable, printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..screens.pick import PickEntry, PickScreen
from ..screens.sample import SampleScreen
from ..widgets.image_grid import ImageGrid
from ..widgets.progress_line import ProgressLine
from ..widgets.tab_line import TabLine
from ..words import data_text as data_words
from ..working import Working
from .data_batch import BatchView
from .data_catalog import DataCatalog, data_of
from .data_copies import CopiesView
from .data_numbers import NumbersView
from .data_samples import SamplesView
from .data_transforms import TransformsView
from .pane import Pane

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import DataLook, DuplicateReport, SampleLook, StepLook

VIEWS = {
    "images": "Images",
    "transforms": "Transforms",
    "numbers": "Numbers",
    "copies": "Copies",
    "batch": "Batch",
}
_KEYS = "gtmub"
_FOCUSED = {
    "images": "#images",
    "transforms": "#train_transforms OptionList",
    "numbers": "#settings",
    "copies": "#copied",
    "batch": "#step",
}
_WIDE = 120
_SAMPLES = 24
_BATCH_SHOWN = 64
_ALL_CLASSES = "all classes"

# Settings of `[data]` that do not change which samples there are.
_RETAINED = {"train_transforms", "eval_transforms", "storage"}


class DataPane(Working, Pane):
    """The catalog on the left; the chosen data set's images, transforms, numbers and copies on the right.

    Attributes:
        draft: config whose data are shown.
    """

    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "find", "Find"),
        Binding("g", "view('images')", "Images", show=False),
        Binding("t", "view('transforms')", "Transforms", show=False),
        Binding("m", "measure", "Numbers; press again to measure every sample", show=False),
        Binding("u", "compare", "Copies: exact duplicates and leakage", show=False),
        Binding("U", "compare(True)", "Copies, compared by decoded pixels", show=False),
        Binding("b", "view('batch')", "Batch: what the model sees at a step", show=False),
        Binding("n", "draw(1)", "Next draw"),
        Binding("N", "draw(-1)", "Previous draw", show=False),
        Binding("o", "others(1)", "Next samples"),
        Binding("O", "others(-1)", "Previous samples", show=False),
        Binding("l", "choose_class", "Class"),
        Binding("w", "normalize", "Set Normalize to the measured mean and std", show=False),
        Binding("e", "copy_to_eval", "Copy to eval (drop random steps)", show=False),
        Binding("D", "download", "Download", show=False),
        Binding("escape", "back", "Stop the current work; back to the list", show=False),
    ]

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(id=id)
        self._worker = worker
        self._view = "images"
        self._draw = 0
        self._page = 0
        self._class: int | None = None
        self._opened: tuple[object, ...] = ()
        self._sampled: tuple[object, ...] = ()
        self._found: DataLook | None = None
        self._samples: SampleLook | None = None
        self._seen: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay out the catalog and the views of the chosen data set."""
        with Horizontal():
            yield DataCatalog(id="catalog")
            with Vertical(id="look"):
                yield Static(id="about", markup=False)
                yield TabLine(VIEWS, active="images", keys=_KEYS, id="views")
                with Horizontal(id="parts"):
                    with Vertical(id="seen"):
                        yield SamplesView(id="pictures")
                        yield CopiesView(id="copies")
                        yield BatchView(id="batch")
                    with VerticalScroll(id="settings"):
                        yield TransformsView(self._worker, id="transforms")
                        yield NumbersView(id="numbers")
                yield ProgressLine(id="work")

    def on_mount(self) -> None:
        """Show the draft."""
        self._show_view()
        self._show_draft()

    def on_show(self) -> None:
        """Open the data when the pane is shown."""
        self._look_when_seen()

    def on_resize(self, event: events.Resize) -> None:
        """Use two columns if there is room."""
        self.set_class(event.size.width >= _WIDE, "-wide")
        self._show_view()

    def watch_draft(self) -> None:
        """Follow a change of data or transforms."""
        if self.is_mounted:
            self._show_draft()

    def code_trusted(self) -> None:
        """Open the data again, now that its code may run."""
        if self.draft is not None and code_files((self.draft.data, self.draft.loader)):
            self.watch_draft()

    def unsettled(self) -> str:
        """Which transform is being edited and not applied; empty if none is."""
        return self.query_one(TransformsView).unsettled()

    def go_to_unsettled(self) -> None:
        """Put the cursor on the transform that `unsettled` is about."""
        self.action_view("transforms")
        self.query_one(TransformsView).go_to_unsettled()

    # Keys

    def action_find(self) -> None:
        """Let the user type part of a name, a folder of images, or a file with a factory."""
        self.query_one(DataCatalog).search()

    def action_view(self, view: str) -> None:
        """Show one of the views and move into it."""
        self._view = view
        self._show_view()
        # Focus at once: the next key is meant for the view.
        self.screen.set_focus(self.query_one(_FOCUSED[view]))
        if view == "batch":
            self._make_batch()
        elif view == "transforms":
            self.query_one(TransformsView).ask_for_all_kinds()

    def action_back(self) -> None:
        """Stop the current work; if there is none, go back to the catalog."""
        if self.has_class("-working"):
            self.workers.cancel_group(self, "work")
            if self._found is None and self.draft is not None:
                self._opened = ()
                self._about([self.draft.data.dataset, "not open; press Enter to open it"])
            elif self._view == "copies":
                self.query_one(CopiesView).say(["stopped; press u to compare again"])
            elif self._view == "batch":
                self._seen = ()
                self.query_one(BatchView).say(["stopped; press Enter to make it again"])
        else:
            self.query_one(DataCatalog).leave()

    def action_draw(self, step: int) -> None:
        """Show the same samples as another epoch would see them."""
        self._draw = max(0, self._draw + step)
        self._look_when_seen()

    def action_others(self, step: int) -> None:
        """Show other samples."""
        self._page += step
        self._look_when_seen()

    def action_choose_class(self) -> None:
        """Show samples of one class only."""
        look = self._found
        if look is None:
            return
        entries = [PickEntry(_ALL_CLASSES, f"{look.train_size:,}")]
        entries += [
            PickEntry(name, f"{count:,}")
            for name, count in zip(look.classes, look.class_counts, strict=False)
            if count
        ]
        self.app.push_screen(PickScreen("Show samples of class", entries), self._take_class)

    def action_measure(self) -> None:
        """Show the numbers; if they are shown already, measure every sample."""
        if self._view != "numbers":
            self.action_view("numbers")
        elif self._found is not None and not self._found.pixels.is_whole and self.draft is not None:
            self._measure(self.draft)

    def action_compare(self, by_pixels: bool = False) -> None:
        """Search for duplicate samples, within a split and across splits."""
        if self._view != "copies":
            self.action_view("copies")
        if self.draft is not None and self._found is not None:
            self._compare(self.draft, by_pixels)

    def action_normalize(self) -> None:
        """Set the Normalize of both pipelines to the measured channel statistics."""
        look = self._found
        if self.draft is None or look is None or not look.pixels.mean:
            self.notify("no channel statistics yet: press m to measure them", severity="warning")
            return
        self.query_one(TransformsView).normalize(self.draft.data, look.pixels)

    def action_copy_to_eval(self) -> None:
        """Copy the train transforms to evaluation, without the random ones."""
        if self.draft is None:
            return
        sizes = self._found.pixels.sizes.sizes if self._found is not None else {}
        size = next(iter(sizes)) if len(sizes) == 1 else None
        self.query_one(TransformsView).copy_to_eval(self.draft.data, size)

    def action_download(self) -> None:
        """Download the chosen data set if it is missing."""
        if self.draft is None:
            return
        entry = find_dataset(self.draft.data.dataset)
        if entry is None or entry.obtain != "download":
            self.notify(f"{printable(self.draft.data.dataset)} can't be downloaded", severity="warning", markup=False)
        elif self.draft.data.download:
            self._open(self.draft, is_fresh=True)
        else:
            self._change(download=True)

    # Messages of the parts

    @on(DataCatalog.Chosen)
    def _choose(self, message: DataCatalog.Chosen) -> None:
        """Put a data set and the transforms of its preset into the draft; open it again if it is there already."""
        message.stop()
        draft, name = self.draft, message.name
        if draft is None:
            return
        if name == draft.data.dataset:
            self._open(draft, is_fresh=True)
            return
        data = data_of(name)
        self.post_message(DraftReplaced(draft.model_copy(update={"data": data})))

    @on(DataCatalog.Passed)
    def _tell_of_listed(self, message: DataCatalog.Passed) -> None:
        message.stop()
        entry = find_dataset(message.name)
        if self.draft is None or entry is None or self.has_class("-nothing"):
            return
        if entry.name == self.draft.data.dataset:
            self._tell_of_opened()
        else:
            self._about(data_words.listed(entry))

    @on(TabLine.Chosen, "#views")
    def _take_view(self, message: TabLine.Chosen) -> None:
        message.stop()
        self.action_view(message.tab)

    @on(BatchView.StepWanted)
    def _take_step(self, message: BatchView.StepWanted) -> None:
        message.stop()
        self._seen = ()
        self._make_batch()

    @on(TransformsView.Edited)
    def _take_pipeline(self, message: TransformsView.Edited) -> None:
        message.stop()
        self._change(**message.pipelines)

    @on(ImageGrid.Chosen, "#images")
    def _enlarge(self, message: ImageGrid.Chosen) -> None:
        message.stop()
        if self.draft is None or self._samples is None or not self._samples.samples:
            return
        positions = [sample.index for sample in self._samples.samples]
        screen = SampleScreen(self._worker, self.draft, positions, message.group, self._draw)
        self.app.push_screen(screen, self._take_draw)

    def _take_draw(self, draw: int | None) -> None:
        if draw is not None:
            self._draw = draw
            self._look_when_seen()

    def _take_class(self, name: str | None) -> None:
        if name is not None and self._found is not None:
            self._class = None if name == _ALL_CLASSES else self._found.classes.index(name)
            self._look_when_seen()

    def _change(self, **values: object) -> None:
        if self.draft is not None:
            data = self.draft.data.model_copy(update=values)
            self.post_message(DraftReplaced(self.draft.model_copy(update={"data": data})))

    # Work for the worker process

    def _look_when_seen(self) -> None:
        draft = self.draft
        if draft is None or not self.is_on_screen:
            return
        subject = (draft.data.model_dump_json(exclude=_RETAINED), draft.seed)
        if subject != self._opened:
            self._opened = subject
            self._class, self._page = None, 0
            self._open(draft, is_fresh=False)
        elif self._found is not None:
            self._sample_when_changed(draft)

    def _make_batch(self) -> None:
        """Make the batch of the chosen step, unless it is shown already."""
        draft, view = self.draft, self.query_one(BatchView)
        if draft is None or self.has_class("-nothing"):
            return
        if self._found is None:
            # Made once the data set is open: a second job of this group would cancel the first.
            view.say(["opening the data set …"])
            return
        subject = (draft, view.step)
        if subject != self._seen:
            self._seen = subject
            self._show_step(draft, view.step)

    def _sample_when_changed(self, draft: RunConfig) -> None:
        subject = (draft.data, draft.seed, draft.training.device, self._draw, self._page, self._class)
        if subject != self._sampled:
            self._sampled = subject
            self._sample(draft)

    @work(exclusive=True, group="work")
    async def _open(self, draft: RunConfig, is_fresh: bool) -> None:
        self._found, self._sampled = None, ()
        title = data_words.title_of(draft.data.dataset, find_dataset(draft.data.dataset))
        self._about([title, "opening …"])
        try:
            look: DataLook = await self._follow(worker_calls.LOOK_AT_DATA, draft, is_fresh=is_fresh)
        except (TorchdeckError, WorkerError) as error:
            # The missing data may exist the next time the pane is shown.
            self._opened = ()
            self.add_class("-nothing")
            entry = find_dataset(draft.data.dataset)
            fetch = ["", "press D to download it"] if entry is not None and entry.obtain == "download" else []
            self._about([title, "", str(error), *fetch], "red")
            return
        self._found = look
        self._samples = None
        self.remove_class("-nothing")
        self._tell_of_opened()
        self.query_one(NumbersView).show(look, self._samples)
        self.query_one(CopiesView).say(["press u to look for duplicates, within each split and across splits"])
        self._sample_when_changed(draft)
        if self._view == "batch":
            self._make_batch()

    @work(exclusive=True, group="sample")
    async def _sample(self, draft: RunConfig) -> None:
        try:
            samples = await self._worker.call(
                worker_calls.LOOK_AT_SAMPLES,
                draft,
                epoch=self._draw,
                count=_SAMPLES,
                page=self._page,
                class_index=self._class,
            )
        except (TorchdeckError, WorkerError) as error:
            self._sampled = ()
            self.query_one(SamplesView).say_wrong(str(error))
            return
        self._samples = samples
        self._show_samples(samples)

    @work(exclusive=True, group="work")
    async def _measure(self, draft: RunConfig) -> None:
        try:
            pixels = await self._follow(worker_calls.MEASURE_PIXELS, draft)
        except (TorchdeckError, WorkerError) as error:
            self.query_one(NumbersView).say_wrong(str(error))
            return
        if self._found is not None:
            self._found = self._found.with_pixels(pixels)
            self.query_one(NumbersView).show(self._found, self._samples)

    @work(exclusive=True, group="work")
    async def _compare(self, draft: RunConfig, by_pixels: bool) -> None:
        view = self.query_one(CopiesView)
        view.say(["comparing …"])
        try:
            report: DuplicateReport = await self._follow(worker_calls.COMPARE_SPLITS, draft, by_pixels=by_pixels)
        except (TorchdeckError, WorkerError) as error:
            view.say([str(error)], "red")
            return
        if self._found is not None:
            view.show(report, self._found.classes)

    @work(exclusive=True, group="work")
    async def _show_step(self, draft: RunConfig, step: int) -> None:
        view = self.query_one(BatchView)
        view.say([f"making the batch of step {step:,} …"])
        try:
            seen: StepLook = await self._follow(worker_calls.LOOK_AT_STEP, draft, step=step, count=_BATCH_SHOWN)
        except (TorchdeckError, WorkerError) as error:
            self._seen = ()
            view.say([str(error)], "red")
            return
        view.show(seen)

    async def _follow(self, function: str, draft: RunConfig, **keywords: object) -> Any:
        """Run a long job, with its progress at the bottom."""
        try:
            return await self._worker.follow(function, draft, on_progress=self._show_progress, **keywords)
        finally:
            self.remove_class("-working")

    def _show_progress(self, message: str, done: int, total: int) -> None:
        self.add_class("-working")
        count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
        fraction = done / total if total else None
        self.query_one(ProgressLine).show(message, fraction, f"{count}  Esc to stop".strip())

    # Display

    def _show_view(self) -> None:
        view, is_wide = self._view, self.has_class("-wide")
        is_displayed = {
            "seen": is_wide or view in ("images", "copies", "batch"),
            "pictures": view == "images" or (is_wide and view not in ("copies", "batch")),
            "copies": view == "copies",
            "batch": view == "batch",
            "settings": is_wide or view in ("transforms", "numbers"),
            "transforms": is_wide or view == "transforms",
            "numbers": is_wide or view == "numbers",
        }
        for part, display in is_displayed.items():
            self.query_one(f"#{part}").display = display
        self.query_one("#views", TabLine).active = view

    def _show_draft(self) -> None:
        draft = self.draft
        if draft is None:
            return
        self.query_one(DataCatalog).show(draft.data.dataset)
        for name in ("train_transforms", "eval_transforms"):
            self.query_one(TransformsView).show(name, getattr(draft.data, name))
        self._look_when_seen()

    def _tell_of_opened(self) -> None:
        if self.draft is None or self._found is None:
            return
        name = self.draft.data.dataset
        self._about([data_words.title_of(name, find_dataset(name)), *data_words.opened(self._found, self._samples)])

    def _show_samples(self, look: SampleLook) -> None:
        draft, found = self.draft, self._found
        if draft is None or found is None:
            return
        self._tell_of_opened()
        self.query_one(NumbersView).show(found, look)
        transforms = self.query_one(TransformsView)
        transforms.show("train_transforms", draft.data.train_transforms, look.train_steps)
        transforms.show("eval_transforms", draft.data.eval_transforms, look.eval_steps)
        class_name = "" if self._class is None else found.classes[self._class]
        self.query_one(SamplesView).show(look, self._draw + 1, class_name)

    def _about(self, lines: list[str], style: str = "") -> None:
        self.query_one("#about", Static).update(Text(printable_lines("\n".join(lines)), style=style))
