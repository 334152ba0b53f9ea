"""Choose a data set and its transforms, and see what the model will see."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from engine.config import Component, DataConfig, RunConfig
from engine.config_file import load_config
from engine.data.catalog import DatasetEntry, find_dataset, list_datasets
from engine.errors import TorchdeckError
from engine.presets import list_presets
from engine.shapes import shape_words
from tui.aside import Aside, AsideError
from tui.messages import DraftReplaced
from tui.widgets.bars import Bar, Bars
from tui.widgets.image_grid import GridImage, ImageGrid
from tui.widgets.pipeline_list import PipelineList, PipelineStep
from tui.widgets.plain_text import printable, printable_lines

if TYPE_CHECKING:
    from engine.data.look import DataLook

_WIDE, _TALL = 120, 36
_SAMPLES = 12


class DataPane(Widget, can_focus=True):
    """The catalogue on the left; samples as they are and as they are trained on, pipelines and class counts right.

    Attributes:
        draft: the config whose data are shown.
    """

    DEFAULT_CSS = """
    DataPane {
        layout: vertical;
        & #catalogue { width: 24; height: 1fr; border-right: solid $panel-lighten-1; }
        & #folder { height: 1; border: none; padding: 0; }
        & #names { height: 1fr; border: none; padding: 0; }
        & #look { width: 1fr; height: 1fr; padding: 0 1; }
        & #about { height: auto; }
        &.-nothing #images, &.-nothing #counts, &.-nothing #counts_heading { display: none; }
        & .heading { height: 1; color: $text-accent; text-style: bold; margin-top: 1; }
        & #images { height: 8; }
        &.-tall #images { height: 16; }
        & #settings { height: auto; }
        &.-wide #look { layout: horizontal; }
        &.-wide #pictures { width: 1fr; height: 1fr; }
        &.-wide #images { height: 1fr; min-height: 8; }
        &.-wide #settings { width: 1fr; height: 1fr; padding-left: 2; overflow-y: auto; }
        & #pictures { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "draw(1)", "Next draw"),
        Binding("b", "draw(-1)", "Draw before", show=False),
        Binding("t", "pipeline", "Transforms"),
        Binding("e", "copy_to_eval", "Train → eval", show=False),
        Binding("f", "folder", "Your own data", show=False),
        Binding("escape", "list", "Back to the list", show=False),
    ]

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, aside: Aside, id: str | None = None) -> None:
        super().__init__(id=id)
        self._aside = aside
        self._draw = 0
        self._looked_at: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """The catalogue; what is in the chosen data set."""
        with Horizontal():
            with Vertical(id="catalogue"):
                yield OptionList(*_options(), id="names")
                field = Input(id="folder", placeholder="f: folder, file.py:name", compact=True)
                field.cursor_blink = False
                yield field
            with VerticalScroll(id="look", can_focus=False):
                with Container(id="pictures"):
                    yield Static(id="about", markup=False)
                    yield ImageGrid(empty="", id="images")
                with Container(id="settings"):
                    yield Static("train transforms", classes="heading")
                    yield PipelineList(id="train_transforms", empty="none: pixels become floats between 0 and 1")
                    yield Static("eval transforms", classes="heading")
                    yield PipelineList(id="eval_transforms", empty="none: pixels become floats between 0 and 1")
                    yield Static("training samples of each class", id="counts_heading", classes="heading")
                    yield Bars(id="counts")

    def on_mount(self) -> None:
        """Show the draft."""
        self._show_draft()
        self._ask_for_names()

    def on_show(self) -> None:
        """Data are opened when somebody looks at them."""
        self._look_when_seen()

    def on_resize(self, event: events.Resize) -> None:
        """Two columns where there is room."""
        self.set_class(event.size.width >= _WIDE, "-wide")
        self.set_class(event.size.width < _WIDE and event.size.height >= _TALL, "-tall")

    def on_focus(self) -> None:
        """The catalogue takes the keys."""
        self.query_one("#names").focus()

    def watch_draft(self) -> None:
        """Other data, or other transforms."""
        if self.is_mounted:
            self._show_draft()

    def action_draw(self, step: int) -> None:
        """Show how other epochs would see the same samples."""
        self._draw = max(0, self._draw + step)
        self._look_when_seen()

    def action_pipeline(self) -> None:
        """Move into the train transforms."""
        self.query_one("#train_transforms OptionList").focus()

    def action_folder(self) -> None:
        """Type a folder of images, or a file with a factory."""
        self.query_one("#folder").focus()

    def action_list(self) -> None:
        """Back to the catalogue."""
        self.query_one("#names").focus()

    def action_copy_to_eval(self) -> None:
        """Use the train transforms for evaluation as well."""
        if self.draft is not None:
            self._change(eval_transforms=self.draft.data.train_transforms)

    @on(OptionList.OptionSelected, "#names")
    def _take_listed(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        self._choose(str(message.option.id))

    @on(Input.Submitted, "#folder")
    def _take_typed(self, message: Input.Submitted) -> None:
        message.stop()
        if message.value.strip():
            self._choose(message.value.strip())
            self.action_list()

    @on(PipelineList.Changed)
    def _take_pipeline(self, message: PipelineList.Changed) -> None:
        message.stop()
        steps = [Component.model_validate({"name": step.name, **step.arguments}) for step in message.steps]
        self._change(**{str(message.pipeline.id): steps})

    def _choose(self, name: str) -> None:
        """Make a data set the draft's, with the transforms of the preset that trains on it; or look at it again."""
        draft = self.draft
        if draft is None:
            return
        if name == draft.data.dataset:
            self._looked_at = ()
            self._look_when_seen()
            return
        data = next((config.data for config in _preset_configs() if config.data.dataset == name), None)
        if data is None:
            validation = "test" if find_dataset(name) is not None else 0.2
            data = DataConfig(dataset=name, validation=validation)
        self.post_message(DraftReplaced(draft.model_copy(update={"data": data})))

    def _change(self, **values: object) -> None:
        if self.draft is not None:
            data = self.draft.data.model_copy(update=values)
            self.post_message(DraftReplaced(self.draft.model_copy(update={"data": data})))

    def _show_draft(self) -> None:
        draft = self.draft
        if draft is None:
            return
        names = self.query_one("#names", OptionList)
        ids = [option.id for option in names.options]
        if draft.data.dataset in ids:
            names.highlighted = ids.index(draft.data.dataset)
        for name in ("train_transforms", "eval_transforms"):
            steps = [PipelineStep(step.name, step.arguments) for step in getattr(draft.data, name)]
            self.query_one(f"#{name}", PipelineList).set_steps(steps)
        self._look_when_seen()

    def _look_when_seen(self) -> None:
        draft = self.draft
        if draft is None or not self.is_on_screen:
            return
        subject = (draft.data, draft.seed, self._draw)
        if subject != self._looked_at:
            self._looked_at = subject
            self._look(draft)

    @work(exclusive=True, group="look")
    async def _look(self, draft: RunConfig) -> None:
        entry = find_dataset(draft.data.dataset)
        self._about(f"{_title(draft.data.dataset, entry)}\nopening …")
        try:
            look = await self._aside.call("engine.data.look:look", draft, epoch=self._draw, count=_SAMPLES)
        except (TorchdeckError, AsideError) as error:
            # What was missing may be there the next time somebody looks.
            self._looked_at = ()
            self.add_class("-nothing")
            self._about(f"{_title(draft.data.dataset, entry)}\n\n{error}", "red")
            return
        self.remove_class("-nothing")
        self._show_look(look, entry, draft)

    def _show_look(self, look: DataLook, entry: DatasetEntry | None, draft: RunConfig) -> None:
        words = [_title(draft.data.dataset, entry), *described(look), *sample_lines(look)]
        self._about("\n".join(words))
        images = []
        for sample in look.samples:
            images += [GridImage(sample.raw, sample.target), GridImage(sample.shown, f"→ {sample.target}")]
        self.query_one(ImageGrid).set_images(images)
        # Targets that are no classes have no counts.
        bars = [Bar(name, count) for name, count in zip(look.classes, look.class_counts, strict=False)]
        self.query_one(Bars).set_bars(bars)

    @work(exclusive=True, group="names")
    async def _ask_for_names(self) -> None:
        try:
            entries = await self._aside.call("engine.data.transforms:list_transforms")
        except (TorchdeckError, AsideError) as error:
            self.notify(f"names of transforms can't be completed: {printable(str(error))}", markup=False)
            return
        for pipeline in self.query(PipelineList):
            pipeline.set_names([entry.name for entry in entries])

    def _about(self, text: str, style: str = "") -> None:
        self.query_one("#about", Static).update(Text(printable_lines(text), style=style))


def described(look: DataLook) -> list[str]:
    """What is said of an opened data set: sizes, where its pixels would live, channel statistics, notes."""
    shape = shape_words(look.input_shape)
    mean = " ".join(f"{value:.4f}" for value in look.mean)
    of_samples = f" of {look.measured:,} samples"
    std = " ".join(f"{value:.4f}" for value in look.std)
    pixels = f"; mean {mean}, std {std}{'' if look.measured == look.train_size else of_samples}" if look.mean else ""
    outputs = f"{len(look.classes)} classes" if look.class_counts else f"targets: {', '.join(look.classes)}"
    return [
        f"{look.train_size:,} to train on, {look.validation_size:,} to validate, {outputs}; {shape} into the model",
        f"{look.storage}{pixels}",
        *look.notes,
        "samples as they are, and → as they are trained on",
    ]


def sample_lines(look: DataLook) -> list[str]:
    """Samples that are no images, in words."""
    lines = []
    for sample in look.texts:
        lines += [sample.target, *(f"  {line}" for line in sample.raw), *(f"  → {line}" for line in sample.shown)]
    return lines


def _title(name: str, entry: DatasetEntry | None) -> str:
    if entry is None:
        return name
    license = entry.license if entry.license != "unknown" else "license unknown"
    return f"{entry.name}: {entry.title} ({license})"


def _options() -> list[Option]:
    return [Option(entry.name, id=entry.name) for entry in list_datasets()]


def _preset_configs() -> list[RunConfig]:
    return [load_config(preset.name) for preset in list_presets()]
