"""The model pane: choose a model and read its module tree before any memory is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.cells import set_cell_size
from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from torchdeck.engine.config import ModelConfig, RunConfig
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.models.catalog import ModelEntry, list_models
from torchdeck.engine.shapes import shape_words

from ..messages import DraftReplaced
from ..plain_text import printable, printable_lines
from ..polling import Poll
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..screens.groups import GroupsScreen
from ..screens.model_picker import ModelPicker
from ..screens.weights import WeightsScreen
from ..widgets.modules.module_tree import ModuleHeat, ModuleTree
from ..words.figures import flops_per_sample
from ..words.module_text import tree_rows
from ..working import Working
from .module_detail import ModuleDetail
from .pane import Pane
from .step_cost import StepCost

if TYPE_CHECKING:
    from torchdeck.engine.preflight.inspection import Inspection
    from torchdeck.engine.runs.reader import RunReader


_NAME_CELLS, _SIZE_CELLS = 18, 5
_LOOK_EVERY, _LOOK_SELDOM = 1.0, 5.0  # seconds between two reads of the gradients: live run, ended run
_WIDE = 150  # cells
_HINT = "f find a model · w weights · t tree · z freeze"
_MARKS = "✓ trained  ◐ partly  · frozen · z freeze · g groups"


class ModelPane(Working, Pane):
    """The catalog on the left, the tree of the draft's model on the right.

    Attributes:
        draft: config whose model is shown.
        watched: directory of the run whose gradients are shown, if it trains the same model.
    """

    DEFAULT_CSS = """
    ModelPane {
        layout: vertical;
        & #catalog { width: 26; height: 1fr; border-right: solid $panel-lighten-1; }
        & #names { height: 1fr; border: none; padding: 0; scrollbar-size-vertical: 1; }
        & #tree { width: 1fr; height: 1fr; padding: 0 1; }
        & #said { height: auto; max-height: 50%; overflow-y: auto; }
        & #hint { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
        & ModuleDetail { display: none; width: 1fr; border-left: solid $panel-lighten-1; }
        &.-detail ModuleDetail { display: block; }
        &.-detail #catalog, &.-detail #tree { display: none; }
        &.-wide ModuleDetail { display: block; width: 60; }
        &.-wide.-detail ModuleDetail { display: none; }
        &.-wide #catalog, &.-wide #tree { display: block; }
        &.-nothing ModuleTree, &.-nothing ModuleDetail { display: none; }
        &.-nothing #said { max-height: 100%; height: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "find", "Find a model"),
        Binding("w", "weights", "Load weights from a file", show=False),
        Binding("t", "tree", "Tree"),
        Binding("d", "detail", "Detail"),
        Binding("z", "freeze", "Freeze / train", show=False),
        Binding("g", "groups", "Parameter groups", show=False),
        Binding("m", "memory", "Memory"),
        Binding("M", "measure", "Measure a step", show=False),
        Binding("escape", "list", "Back to the list", show=False),
    ]

    draft: reactive[RunConfig | None] = reactive(None)
    watched: reactive[Path | None] = reactive(None)

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(id=id)
        self._worker = worker
        self._inspected: tuple[object, ...] = ()
        self._inspection: Inspection | None = None
        self._reader: RunReader | None = None
        self._is_reader_sought = False
        self._seen: tuple[object, ...] = ()
        self._shown_name = ""

    def compose(self) -> ComposeResult:
        """Lay out the catalog, the tree and the notes below it."""
        with Horizontal():
            with Vertical(id="catalog"):
                yield OptionList(id="names")
            with Vertical(id="tree"):
                yield ModuleTree()
                yield Static(id="said", markup=False)
                yield StepCost(self._worker, id="step-cost")
                yield Static(_HINT, id="hint", markup=False)
            yield ModuleDetail(self._worker)

    def on_mount(self) -> None:
        """Show the catalog, and the draft's model."""
        self._list()
        self._inspect_when_seen()
        Poll(self, self._look_at_run, self._is_run_live, _LOOK_EVERY, _LOOK_SELDOM)

    def on_show(self) -> None:
        """Inspect the model when the pane is shown."""
        self._inspect_when_seen()
        self._look_at_run()

    def on_resize(self, event: events.Resize) -> None:
        """Show the detail beside the tree if there is room, otherwise in its place."""
        self.set_class(event.size.width >= _WIDE, "-wide")

    def watch_watched(self) -> None:
        """Follow a change of the watched run."""
        self._is_reader_sought = True
        if self.is_mounted:
            self._look_at_run()

    def code_trusted(self) -> None:
        """Inspect the model again, now that its code may run."""
        self.watch_draft()

    def watch_draft(self) -> None:
        """Follow a change of the model or of the data's shape."""
        if self.is_mounted:
            self._mark_current()
            self._inspect_when_seen()

    def action_find(self) -> None:
        """Let the user choose among all models, with their sizes and published accuracy."""
        if self.draft is not None:
            self.app.push_screen(ModelPicker(self.draft.model.name), self._take)

    def _take(self, name: str | None) -> None:
        if name is not None:
            self._choose(name)

    def action_weights(self) -> None:
        """Load weights from a file, after a preview."""
        if self.draft is not None:
            self.app.push_screen(WeightsScreen(self._worker, self.draft), self._take_weights)

    def _take_weights(self, path: str | None) -> None:
        if path is not None and self.draft is not None:
            model = self.draft.model
            # A model starts from pretrained weights or from a file, not from both.
            pretrained = model.pretrained and not path
            model = model.model_copy(update={"weights": path, "pretrained": pretrained})
            self.post_message(DraftReplaced(self.draft.model_copy(update={"model": model})))

    def action_tree(self) -> None:
        """Focus the tree."""
        self.query_one(ModuleTree).rows.focus()

    def action_groups(self) -> None:
        """Show the parameter groups of the optimizer."""
        if self.draft is not None:
            self.app.push_screen(GroupsScreen(self.draft, self._worker))

    def action_memory(self) -> None:
        """Show or hide the memory estimate of a step."""
        self.query_one(StepCost).toggle()

    def action_measure(self) -> None:
        """Measure a real step in a separate process."""
        self.query_one(StepCost).measure()

    def action_freeze(self) -> None:
        """Append a rule that freezes the module under the cursor, or one that unfreezes it."""
        row = self.query_one(ModuleTree).current_row
        if row is None or self.draft is None or not row.params:
            return
        rules = with_rule(self.draft.model.freeze, row.path or "*", is_frozen=row.trainable > 0)
        model = self.draft.model.model_copy(update={"freeze": rules})
        self.post_message(DraftReplaced(self.draft.model_copy(update={"model": model})))

    def action_detail(self) -> None:
        """Show the details of the module under the cursor, or go back to the tree; on a wide screen, toggle them."""
        self.toggle_class("-detail")
        if self.has_class("-wide"):
            return
        if self.has_class("-detail"):
            self.query_one(ModuleDetail).focus()
        else:
            self.query_one(ModuleTree).rows.focus()

    def action_list(self) -> None:
        """Go back from the detail to the tree, or from the tree to the list."""
        if self.has_class("-detail") and not self.has_class("-wide"):
            self.action_detail()
            return
        self.query_one("#names").focus()

    @on(OptionList.OptionSelected, "#names")
    def _take_listed(self, message: OptionList.OptionSelected) -> None:
        message.stop()
        self._choose(str(message.option.id))

    def _choose(self, name: str) -> None:
        """Put a model into the draft, without the previous model's arguments; inspect it again if it is the same."""
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
        """Put the cursor of the list on the draft's model, if it is listed."""
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
        elif self._inspection is not None:
            self.query_one(StepCost).set_subject(draft, self._inspection)

    @work(exclusive=True, group="inspect")
    async def _inspect(self, draft: RunConfig) -> None:
        self._say(f"reading {draft.model.name} …", "dim")
        try:
            inspection = await self._worker.call(worker_calls.INSPECT_MODEL, draft)
        except (TorchdeckError, WorkerError) as error:
            # The error may be fixed the next time the pane is shown.
            self._inspected = ()
            self._inspection = None
            self.add_class("-nothing")
            self.remove_class("-detail")
            self.query_one(StepCost).set_subject(draft, None)
            self._say(str(error), "red")
            return
        self.remove_class("-nothing")
        is_same = draft.model.name == self._shown_name
        self._inspection, self._shown_name = inspection, draft.model.name
        tree = self.query_one(ModuleTree)
        self.query_one(ModuleDetail).set_model(draft, inspection)
        tree.set_rows(tree_rows(inspection.report), draft.model.name, keeps_place=is_same)
        self._say(totals(inspection, draft.model.freeze))
        self.query_one(StepCost).set_subject(draft, inspection)
        self._is_reader_sought = True
        self._look_at_run()

    def on_descendant_focus(self) -> None:
        """While the tree has the focus, explain its marks."""
        self.query_one("#hint", Static).update(_MARKS if self.query_one(ModuleTree).has_focus_within else _HINT)

    @on(ModuleTree.Highlighted)
    def _show_detail(self, message: ModuleTree.Highlighted) -> None:
        message.stop()
        self.query_one(ModuleDetail).show_module(message.row.path)

    def _is_run_live(self) -> bool:
        return self._reader is not None and self._reader.is_alive()

    def _look_at_run(self) -> None:
        """Show the newest gradients of the watched run, if it trains this model and the pane is shown."""
        if self._inspection is None or self.draft is None or not self.is_on_screen:
            return
        if self._is_reader_sought:
            self._is_reader_sought, self._seen = False, ()
            self._reader = _reader_of_model(self.watched, self.draft) if self.watched is not None else None
        newest = self._reader.gradients().newest if self._reader is not None else None
        seen = (self._reader, newest.step if newest else 0)
        if seen == self._seen:
            return
        self._seen = seen
        paths = {row.path for row in self._inspection.report.modules}
        heat = {}
        if newest is not None and newest.modules.keys() <= paths:
            heat = {path: ModuleHeat(norms.gradient, norms.update_ratio) for path, norms in newest.rolled_up().items()}
        self.query_one(ModuleTree).set_heat(heat)
        self.query_one(ModuleDetail).set_run(self._reader)

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#said", Static).update(Text(printable_lines(text), style=style))


def _reader_of_model(path: Path, draft: RunConfig) -> RunReader | None:
    """Open the run in a directory if it trains the draft's model on the draft's data; None otherwise."""
    from torchdeck.engine.runs.reader import RunReader

    try:
        reader = RunReader(path)
        config = reader.config()
    except TorchdeckError:
        return None
    is_same = config.model.name == draft.model.name and config.model.arguments == draft.model.arguments
    return reader if is_same and config.data.dataset == draft.data.dataset else None


def with_rule(rules: Sequence[str], path: str, *, is_frozen: bool) -> list[str]:
    """Add a rule that freezes or unfreezes a module, in place of the rules for it and for modules below it.

    Args:
        rules: the current rules.
        path: path of the module; "*" for all modules.
        is_frozen: whether to freeze it; otherwise it trains.
    """
    kept = [
        rule
        for rule in rules
        if path != "*" and (name := rule.removeprefix("!")) != path and not name.startswith(f"{path}.")
    ]
    if is_frozen:
        return [*kept, path]
    # If a rule froze the module and no other rule freezes it, it trains again without a rule.
    needs_rule = not rules or any(not rule.startswith("!") for rule in kept)
    return [*kept, f"!{path}"] if needs_rule else kept


def totals(inspection: Inspection, freeze: Sequence[str] = ()) -> str:
    """The text below the tree: counts, the input shape, and problems."""
    report = inspection.report
    share = f", {report.params - report.trainable:,} frozen" if report.trainable != report.params else ""
    flops = f", {flops_per_sample(report.flops)}" if report.flops else ""
    shape = shape_words(inspection.input_shape)
    lines = [f"{report.params:,} parameters{share}{flops}; input {shape}, {inspection.num_classes} classes"]
    if freeze:
        lines.append(f"model.freeze = {list(freeze)}")
    if report.error:
        lines.append(report.error)
    if inspection.assumption:
        lines.append("input shape taken from the catalog because the data are missing: press 1 for details")
    return "\n".join(lines)


def _line(entry: ModelEntry) -> Text:
    size = f"{entry.params / 1e6:.0f}M" if entry.params and entry.params >= 1e7 else ""
    if entry.params and not size:
        size = f"{entry.params / 1e6:.1f}M"
    name = set_cell_size(printable(entry.name), _NAME_CELLS)
    return Text(name, no_wrap=True, overflow="ellipsis").append(f"{size:>{_SIZE_CELLS}}", style="dim")
