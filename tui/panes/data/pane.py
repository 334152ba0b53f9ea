"""The data pane: choose a data set and its transforms, and see what the model is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.actions import SkipAction
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.reactive import reactive
from textual.widget import Widget

from torchdeck.engine.config import RunConfig
from torchdeck.engine.data.datasets.catalog import find_dataset
from torchdeck.engine.data.datasets.places import download_bytes
from torchdeck.engine.user_path import user_path
from torchdeck.engine.user_trust import code_files

from ...keys.bindings import bindings
from ...messages import DraftReplaced
from ...process.worker_process import WorkerProcess
from ...screens.ask import ConfirmScreen
from ...screens.pick import PickEntry, PickScreen
from ...screens.sample import SampleScreen
from ...widgets.image_grid import ImageGrid
from ...widgets.rows import Rows
from ...words.data import data_text as data_words
from ...words.figures import byte_size
from .about import AboutPanel
from .batch import BatchView
from .catalog import DataCatalog, data_of
from .copies import CopiesView
from .numbers import NumbersView, StorageView
from .samples import SamplesView
from .transforms import TransformsView
from .work import DataWork

if TYPE_CHECKING:
    from torchdeck.engine.data.exploration.findings import DuplicateReport

_ALL_CLASSES = "all classes"
# Views that lie in the middle; the others stay at the side where there is room.
_MIDDLE = ("samples", "copies", "batch")
_PANELS = {
    "samples": "#samples",
    "transforms": "#transforms",
    "numbers": "#numbers",
    "copies": "#copies",
    "batch": "#batch",
}


class DataPane(DataWork):
    """Data sets, what the chosen one is, its samples, and at the side its transforms, numbers and storage.

    Attributes:
        draft: config whose data are shown.
    """

    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = bindings("data")
    VIEWS: ClassVar[tuple[str, ...]] = tuple(_PANELS)

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(id=id)
        self.worker_process = worker

    def compose(self) -> ComposeResult:
        """Lay out the panels."""
        yield DataCatalog(id="catalog")
        with Vertical(id="middle"):
            yield AboutPanel(id="about")
            yield SamplesView(id="samples")
            yield CopiesView(id="copies")
            yield BatchView(id="batch")
        with Vertical(id="side"):
            yield TransformsView(self.worker_process, id="transforms")
            yield NumbersView(id="numbers")
            yield StorageView(id="storage")

    def on_mount(self) -> None:
        """Show the draft."""
        self._show_draft()

    def on_show(self) -> None:
        """Open the data when the pane is shown."""
        self.look_when_seen()

    def watch_draft(self) -> None:
        """Follow a change of data or transforms."""
        if self.is_mounted:
            self._show_draft()

    def code_trusted(self) -> None:
        """Open the data again, now that its code may run."""
        if self.draft is not None and code_files((self.draft.data, self.draft.loader)):
            self.watch_draft()

    def _show_draft(self) -> None:
        draft = self.draft
        if draft is None:
            return
        self.query_one(DataCatalog).show(draft.data.dataset, draft.data.root)
        for section in ("train_transforms", "eval_transforms"):
            self.query_one(TransformsView).show(section, getattr(draft.data, section))
        self.look_when_seen()

    # Views

    def next_view(self, by: int) -> None:
        """Show the next view; what is beside it anyway is passed over."""
        views = self.VIEWS if self.screen.has_class("-w80") else _MIDDLE
        at = views.index(self.view) if self.view in views else 0
        self.action_show_part(views[(at + by) % len(views)])

    def show_view(self, view: str) -> None:
        """Show a view, and focus it unless the focus is in the list of data sets."""
        super().show_view(view)
        if view == "batch":
            self.make_batch()
        if not self.query_one(DataCatalog).has_focus:
            self.call_after_refresh(self._focus_view)

    def _focus_view(self) -> None:
        panel = self.query_one(_PANELS[self.view], Widget)
        if isinstance(panel, SamplesView | CopiesView | BatchView):
            panel.focus_inside()
        else:
            self.screen.set_focus(panel)

    def action_show_part(self, view: str) -> None:
        """Show one of the views."""
        self.show_view(view)

    # Keys

    def offers(self, action: str) -> bool:
        """Whether the last line shows a key now."""
        if self.found is None:
            return False
        return action != "measure" or not self.found.pixels.is_whole or self.seconds is None

    def action_step_back(self) -> None:
        """Stop the current work, or show all data sets again, or leave Escape to others."""
        catalog = self.query_one(DataCatalog)
        if self.stop_work():
            return
        if not catalog.is_filtered:
            raise SkipAction
        catalog.show_all()

    def action_draw(self, step: int) -> None:
        """Show the same samples as another epoch would see them; in the batch view, another step."""
        if self.view == "batch":
            self.query_one(BatchView).post_message(BatchView.StepWanted(max(1, self.query_one(BatchView).step + step)))
            return
        if self.drawn + step < 0:
            self.app.notify("this is the first epoch")
            return
        self.drawn += step
        self.look_when_seen()

    def action_measure(self) -> None:
        """Measure every sample, and how long an epoch is read."""
        if self.found is None or self.draft is None:
            self.app.notify("no data set is open", severity="warning")
            return
        if self.screen.has_class("-w80"):
            self.show_view("numbers")
        self.measure(self.draft)

    def action_compare(self) -> None:
        """Search for duplicate samples; if files were compared by their bytes, compare decoded pixels."""
        if self.found is None or self.draft is None:
            self.app.notify("no data set is open", severity="warning")
            return
        report = self.query_one(CopiesView).report
        self.show_view("copies")
        self.compare(self.draft, by_pixels=report is not None and report.compared == "file bytes")

    def action_download(self) -> None:
        """Download the data set of the draft."""
        if self.draft is None:
            return
        entry = find_dataset(self.draft.data.dataset)
        if entry is None or entry.obtain != "download":
            self.app.notify(f"{self.draft.data.dataset} can't be downloaded", severity="warning")
        else:
            self._ask_to_download(entry.name)

    # Messages of the parts

    @on(DataCatalog.Chosen)
    def _choose(self, message: DataCatalog.Chosen) -> None:
        """Put a data set and the transforms of its preset into the draft; open it again if it is there already."""
        message.stop()
        draft, name = self.draft, message.name
        if draft is None:
            return
        entry = find_dataset(name)
        is_missing = entry is not None and entry.obtain == "download" and not self.query_one(DataCatalog).is_here(name)
        if is_missing and not (name == draft.data.dataset and self.found is not None):
            self._ask_to_download(name)
        elif name == draft.data.dataset:
            self.open(draft, is_fresh=True)
        else:
            self.post_message(DraftReplaced(draft.model_copy(update={"data": data_of(name)})))

    def _ask_to_download(self, name: str) -> None:
        draft, entry = self.draft, find_dataset(name)
        if draft is None or entry is None:
            return
        data = draft.data if name == draft.data.dataset else data_of(name)
        size = download_bytes(name)
        much = f"about {byte_size(size)}" if size is not None else "size unknown"
        words = f"{entry.title}\n{much}, into {user_path(data.root)}\nlicense: {entry.license}"

        def take(is_wanted: bool | None) -> None:
            if not is_wanted:
                return
            wanted = draft.model_copy(update={"data": data.model_copy(update={"download": True})})
            if wanted == self.draft:
                self.open(wanted, is_fresh=True)
            else:
                self.post_message(DraftReplaced(wanted))

        self.app.push_screen(
            ConfirmScreen(f"Download {name}?", words, yes="Download", way_out="downloads nothing"), take
        )

    @on(Rows.Moved, "#catalog")
    def _tell_of_listed(self, message: Rows.Moved) -> None:
        message.stop()
        self.tell_of(self.query_one(DataCatalog).name_under_cursor)

    @on(SamplesView.OthersWanted)
    def _show_others(self, message: SamplesView.OthersWanted) -> None:
        message.stop()
        self.page += message.step
        self.look_when_seen()

    @on(SamplesView.ClassWanted)
    def _ask_for_class(self, message: SamplesView.ClassWanted) -> None:
        message.stop()
        look = self.found
        if look is None or not look.class_counts:
            self.app.notify("the targets of this data set are not classes")
            return
        entries = [PickEntry(_ALL_CLASSES, f"{look.train_size:,}")]
        entries += [
            PickEntry(name, f"{count:,}")
            for name, count in zip(look.classes, look.class_counts, strict=False)
            if count
        ]

        def take(name: str | None) -> None:
            if name is not None:
                self.show_class(None if name == _ALL_CLASSES else look.classes.index(name))

        self.app.push_screen(PickScreen("Show samples of class", entries), take)

    @on(NumbersView.ClassChosen)
    def _take_class(self, message: NumbersView.ClassChosen) -> None:
        message.stop()
        self.show_view("samples")
        self.show_class(message.index)

    @on(BatchView.StepWanted)
    def _take_step(self, message: BatchView.StepWanted) -> None:
        message.stop()
        self.query_one(BatchView).step = message.step
        self.make_batch()

    @on(TransformsView.Edited)
    def _take_pipeline(self, message: TransformsView.Edited) -> None:
        message.stop()
        if self.draft is not None:
            data = self.draft.data.model_copy(update=message.pipelines)
            self.post_message(DraftReplaced(self.draft.model_copy(update={"data": data})))

    @on(NumbersView.NormalizeWanted)
    def _normalize(self, message: NumbersView.NormalizeWanted) -> None:
        message.stop()
        if self.draft is None or self.found is None or not self.found.pixels.mean:
            self.app.notify("no channel statistics yet: m measures them", severity="warning")
            return
        self.query_one(TransformsView).normalize(self.draft.data, self.found.pixels)

    @on(TransformsView.EvalWanted)
    def _copy_to_eval(self, message: TransformsView.EvalWanted) -> None:
        message.stop()
        if self.draft is None:
            return
        sizes = self.found.pixels.sizes.sizes if self.found is not None else {}
        size = next(iter(sizes)) if len(sizes) == 1 else None
        self.query_one(TransformsView).copy_to_eval(self.draft.data, size)

    @on(TransformsView.TraceWanted)
    def _trace_first(self, message: TransformsView.TraceWanted) -> None:
        message.stop()
        self._enlarge(self.query_one(SamplesView).grid.cursor)

    @on(ImageGrid.Chosen, "#images")
    def _take_sample(self, message: ImageGrid.Chosen) -> None:
        message.stop()
        self._enlarge(message.group)

    def _enlarge(self, number: int) -> None:
        if self.draft is None or self.samples is None or not self.samples.samples:
            self.app.notify("no pictures of samples to look at")
            return
        positions = [sample.index for sample in self.samples.samples]

        def take(draw: int | None) -> None:
            if draw is not None:
                self.drawn = draw
                self.look_when_seen()

        self.app.push_screen(SampleScreen(self.worker_process, self.draft, positions, number, self.drawn), take)

    # Display

    def tell_of(self, name: str) -> None:
        """Describe the data set under the cursor of the list."""
        if self.draft is None or self.has_class("-nothing"):
            return
        about = self.query_one(AboutPanel)
        if name and name != self.draft.data.dataset:
            about.show_listed(name, is_here=self.query_one(DataCatalog).is_here(name))
        elif self.found is not None:
            report: DuplicateReport | None = self.query_one(CopiesView).report
            found = data_words.findings(self.found, self.samples, report)
            about.show_opened(self.draft.data.dataset, self.found, self.samples, found)
