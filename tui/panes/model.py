"""Choose a model, and read it as a tree before it costs a byte."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.cells import set_cell_size
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.config import ModelConfig, RunConfig
from engine.errors import TorchdeckError
from engine.models.catalog import ModelEntry, list_models
from engine.shapes import shape_words
from tui.aside import Aside, AsideError
from tui.messages import DraftReplaced
from tui.module_text import tree_rows
from tui.screens.model_picker import ModelPicker
from tui.widgets.module_tree import ModuleTree
from tui.widgets.plain_text import printable, printable_lines

if TYPE_CHECKING:
    from engine.inspection import Inspection


_NAME_CELLS, _SIZE_CELLS = 18, 5
_HINT = "f finds any model, timm's and file.py:factory · t: tree"


class ModelPane(Widget, can_focus=True):
    """The catalogue on the left, the tree of the draft's model on the right.

    Attributes:
        draft: the config whose model is shown.
    """

    DEFAULT_CSS = """
    ModelPane {
        layout: vertical;
        & #catalogue { width: 26; height: 1fr; border-right: solid $panel-lighten-1; }
        & #names { height: 1fr; border: none; padding: 0; scrollbar-size-vertical: 1; }
        & #tree { width: 1fr; height: 1fr; padding: 0 1; }
        & #said { height: auto; max-height: 50%; overflow-y: auto; }
        & #hint { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        &.-nothing ModuleTree { display: none; }
        &.-nothing #said { max-height: 100%; height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "find", "Find a model"),
        Binding("t", "tree", "Tree"),
        Binding("escape", "list", "Back to the list", show=False),
    ]

    draft: reactive[RunConfig | None] = reactive(None)

    def __init__(self, aside: Aside, id: str | None = None) -> None:
        super().__init__(id=id)
        self._aside = aside
        self._inspected: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """The catalogue, the tree, what is to be said about it."""
        with Horizontal():
            with Vertical(id="catalogue"):
                yield OptionList(id="names")
            with Vertical(id="tree"):
                yield ModuleTree()
                yield Static(id="said", markup=False)
                yield Static(_HINT, id="hint", markup=False)

    def on_mount(self) -> None:
        """Show the catalogue, and the draft's model."""
        self._list()
        self._inspect_when_seen()

    def on_show(self) -> None:
        """A model is inspected when somebody looks at it."""
        self._inspect_when_seen()

    def on_focus(self) -> None:
        """The catalogue takes the keys."""
        self.query_one("#names").focus()

    def watch_draft(self) -> None:
        """Another model, or another shape of data."""
        if self.is_mounted:
            self._mark_current()
            self._inspect_when_seen()

    def action_find(self) -> None:
        """Choose among all models, with their sizes and published accuracy."""
        if self.draft is not None:
            self.app.push_screen(ModelPicker(self.draft.model.name), self._take)

    def _take(self, name: str | None) -> None:
        if name is not None:
            self._choose(name)

    def action_tree(self) -> None:
        """Move into the tree."""
        self.query_one(ModuleTree).rows.focus()

    def action_list(self) -> None:
        """Back from the tree to the list."""
        self.query_one("#names").focus()

    @on(OptionList.OptionSelected, "#names")
    def _take_listed(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        self._choose(str(message.option.id))

    def _choose(self, name: str) -> None:
        """Make a model the draft's, or read it again; the arguments of the one before don't fit another."""
        if self.draft is None:
            return
        if name == self.draft.model.name:
            self._inspected = ()
            self._inspect_when_seen()
        else:
            self.post_message(DraftReplaced(self.draft.model_copy(update={"model": ModelConfig(name=name)})))

    def _list(self) -> None:
        names = self.query_one("#names", OptionList)
        names.add_options(Option(_line(entry), id=entry.name) for entry in list_models() if entry.source != "timm")
        self._mark_current()

    def _mark_current(self) -> None:
        """Put the cursor of the list on the draft's model, if it is there."""
        names = self.query_one("#names", OptionList)
        current = self.draft.model.name if self.draft is not None else ""
        listed = [option.id for option in names.options]
        if current in listed:
            names.highlighted = listed.index(current)

    def _inspect_when_seen(self) -> None:
        draft = self.draft
        if draft is None or not self.is_on_screen:
            return
        subject = (draft.model, draft.data, draft.seed)
        if subject != self._inspected:
            self._inspected = subject
            self._inspect(draft)

    @work(exclusive=True, group="inspect")
    async def _inspect(self, draft: RunConfig) -> None:
        self._say(f"reading {draft.model.name} …", "dim")
        try:
            inspection = await self._aside.call("engine.inspection:inspect_draft", draft)
        except (TorchdeckError, AsideError) as error:
            # What was wrong may be mended the next time somebody looks.
            self._inspected = ()
            self.add_class("-nothing")
            self._say(str(error), "red")
            return
        self.remove_class("-nothing")
        self.query_one(ModuleTree).set_rows(tree_rows(inspection.report), draft.model.name, depth=1)
        self._say(totals(inspection))

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#said", Static).update(Text(printable_lines(text), style=style))


def totals(inspection: Inspection) -> str:
    """What stands below the tree: counts, the shape that went in, and what is not as it should be."""
    report = inspection.report
    share = f", {report.params - report.trainable:,} frozen" if report.trainable != report.params else ""
    flops = f", {report.flops / 1e9:.3g} GFLOPs a sample" if report.flops else ""
    shape = shape_words(inspection.input_shape)
    lines = [f"{report.params:,} parameters{share}{flops}; input {shape}, {inspection.num_classes} classes"]
    if report.error:
        lines.append(report.error)
    if inspection.assumption:
        lines.append("shown for the catalogue's shape, as the data are not there: 1 says what is missing")
    return "\n".join(lines)


def _line(entry: ModelEntry) -> Text:
    size = f"{entry.params / 1e6:.0f}M" if entry.params and entry.params >= 1e7 else ""
    if entry.params and not size:
        size = f"{entry.params / 1e6:.1f}M"
    name = set_cell_size(printable(entry.name), _NAME_CELLS)
    return Text(name, no_wrap=True, overflow="ellipsis").append(f"{size:>{_SIZE_CELLS}}", style="dim")
