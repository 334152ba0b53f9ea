"""The model pane: choose a model and read its module tree before any memory is allocated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.reactive import reactive

from torchdeck.engine.config import ModelConfig, RunConfig
from torchdeck.engine.config.freeze_rules import with_rule
from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.shapes import shape_words

from ...drawing import name, prose
from ...keys.bindings import bindings
from ...messages import DraftReplaced, WeightsChosen
from ...polling import Poll
from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...screens.ask import PromptScreen
from ...screens.groups import GroupsScreen
from ...screens.lines import LinesScreen
from ...screens.model_picker import ModelPicker
from ...screens.weights import WeightsScreen
from ...widgets.modules.module_tree import ModuleHeat, ModuleTree
from ...widgets.panel import FocusableLines, Lines, nothing_here
from ...words.figures import progress_words
from ...words.model.inspection_text import remarks, totals
from ...words.model.module_text import gradient_table, tree_rows
from ...working import Working
from ..pane import Pane
from .groups import GroupsPanel
from .memory import MemoryPanel
from .models import ModelList
from .module import ModulePanel

if TYPE_CHECKING:
    from torchdeck.engine.preflight.inspection import Inspection
    from torchdeck.engine.runs.reader import RunReader

_LOOK_EVERY, _LOOK_SELDOM = 1.0, 5.0  # seconds between two reads of the gradients: live run, ended run
_MOST_IN_TABLE = 24


class ModelPane(Working, Pane):
    """The models on the left, the tree of the draft's model, what a step takes, and the module under the cursor.

    Attributes:
        draft: config whose model is shown.
        watched: directory of the run whose gradients are shown, if it trains the same model.
    """

    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")
    BINDINGS: ClassVar[list[BindingType]] = bindings("model")
    VIEWS = ("tree", "models", "module", "memory")
    BEGINS_IN = "#tree"

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
        """Lay out the panels; the stylesheet says which of them a size shows."""
        yield ModelList(id="models")
        with Vertical(id="middle"):
            yield ModuleTree(id="tree", classes="-lead")
            yield FocusableLines("Model", id="said")
            with Horizontal(id="below"):
                yield MemoryPanel(self._worker, id="memory")
                yield ModulePanel(self._worker, id="module-below")
        with Vertical(id="side"):
            yield ModulePanel(self._worker, id="module")
            yield Lines("Gradients", id="gradients")
            yield GroupsPanel(self._worker, id="groups")

    def on_mount(self) -> None:
        """Show the draft's model."""
        self._list()
        self._inspect_when_seen()
        Poll(self, self._look_at_run, self._is_run_live, _LOOK_EVERY, _LOOK_SELDOM)

    def on_show(self) -> None:
        """Inspect the model when the pane is shown."""
        self._inspect_when_seen()
        self._look_at_run()

    def next_view(self, by: int) -> None:
        """Show the next columns of the tree; at 80 columns, then the other panels."""
        is_narrow = self.screen.has_class("-w80")
        if not self.has_class("-nothing") and (self.view == "tree" or not is_narrow):
            went_round = self.query_one(ModuleTree).next_columns(by)
            if not (went_round and is_narrow):
                return
        super().next_view(by)

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
            self._list()
            self._inspect_when_seen()

    # Keys

    def action_find(self) -> None:
        """Choose among all models, with their sizes and published accuracy."""
        if self.draft is not None:
            self.app.push_screen(ModelPicker(self.draft.model.name), self._take)

    def _take(self, name: str | None) -> None:
        if name is not None:
            self._choose(name)

    @on(ModelList.FindAsked)
    def _find(self) -> None:
        self.action_find()

    @on(ModelList.Chosen)
    def _take_listed(self, message: ModelList.Chosen) -> None:
        message.stop()
        self._choose(message.name)

    @work(exclusive=True, group="open")
    async def action_open(self) -> None:
        """Open a model in a Python file, or weights in a file, by path."""
        typed = await self.app.push_screen_wait(
            PromptScreen("Open a model or weights", "path/to/file.py:factory, or a file of weights: .pt, .safetensors")
        )
        if typed and ".py" in typed:
            self._choose(typed)
        elif typed is not None:
            self._open_weights(typed)

    def action_weights(self) -> None:
        """Load weights from a file, after a preview."""
        self._open_weights("")

    def _open_weights(self, path: str) -> None:
        if self.draft is not None:
            self.app.push_screen(WeightsScreen(self._worker, self.draft, path), self._take_weights)

    def _take_weights(self, path: str | None) -> None:
        if path is not None:
            self.post_message(WeightsChosen(path))

    def action_groups(self) -> None:
        """Show the parameter groups of the optimizer in full."""
        if self.draft is not None:
            self.app.push_screen(GroupsScreen(self.draft, self._worker))

    def action_measure(self) -> None:
        """Measure a real step in a separate process."""
        self.query_one(MemoryPanel).measure()

    def action_freeze(self) -> None:
        """Append a rule that freezes the module under the cursor, or one that unfreezes it."""
        row = self.query_one(ModuleTree).current_row
        if row is None or self.draft is None or not row.params:
            self.app.notify("the module under the cursor has no parameters", title="Nothing to freeze")
            return
        rules = with_rule(self.draft.model.freeze, row.path or "*", is_frozen=row.trainable > 0)
        model = self.draft.model.model_copy(update={"freeze": rules})
        self.post_message(DraftReplaced(self.draft.model_copy(update={"model": model})))

    def action_inspect(self) -> None:
        """Show everything about the module under the cursor."""
        row = self.query_one(ModuleTree).current_row
        if row is not None and self._inspection is not None:
            self.app.push_screen(LinesScreen(row.path or self._shown_name, self._detail.in_full))

    @property
    def _detail(self) -> ModulePanel:
        shown = [panel for panel in self.query(ModulePanel) if panel.is_on_screen]
        return shown[0] if shown else self.query(ModulePanel).first()

    # Inspecting

    def _choose(self, name: str) -> None:
        """Put a model into the draft, without the previous model's arguments; inspect it again if it is the same."""
        if self.draft is None:
            return
        if name == self.draft.model.name:
            if self._inspection is not None:
                self.app.notify("it is the draft's model already; read anew", title=name)
            self._inspected = ()
            self._inspect_when_seen()
        else:
            self.post_message(DraftReplaced(self.draft.model_copy(update={"model": ModelConfig(name=name)})))

    def _list(self) -> None:
        if self.draft is not None:
            self.query_one(ModelList).show(self.draft.model.name)

    def _inspect_when_seen(self) -> None:
        draft = self.draft
        if draft is None or not self.is_on_screen:
            return
        subject = (draft.model, draft.data, draft.seed)
        if subject != self._inspected:
            self._inspected = subject
            self._inspect(draft)
        elif self._inspection is not None:
            self._set_subject(draft, self._inspection)

    @work(exclusive=True, group="inspect")
    async def _inspect(self, draft: RunConfig) -> None:
        tree = self.query_one(ModuleTree)

        def say(what: str, done: int, total: int) -> None:
            tree.entitle(f"{name(draft.model.name)}  [not b $text-muted]{name(progress_words(what, done, total))}[/]")

        say("reading", 0, 0)
        try:
            inspection = await self._worker.follow(worker_calls.INSPECT_MODEL, draft, on_progress=say)
        except (TorchdeckError, WorkerError) as error:
            # The error may be fixed the next time the pane is shown.
            self._inspected = ()
            self._inspection = None
            self._set_subject(draft, None)
            self._show_failure(draft, str(error))
            return
        self.remove_class("-nothing")
        is_same = draft.model.name == self._shown_name
        self._inspection, self._shown_name = inspection, draft.model.name
        for panel in self.query(ModulePanel):
            panel.set_model(draft, inspection)
        shape = shape_words(inspection.input_shape)
        classes = f"{inspection.num_classes} classes" if inspection.num_classes else "no classes"
        tree.entitle(f"{name(draft.model.name)}  [not b $text-muted]input {name(shape)} · {classes}[/]")
        tree.entitle(subtitle=totals(inspection))
        tree.show_modules(tree_rows(inspection.report), draft.model.name, keeps_place=is_same)
        self._say_remarks(inspection, draft)
        self._set_subject(draft, inspection)
        self._is_reader_sought = True
        self._look_at_run()

    def _set_subject(self, draft: RunConfig, inspection: Inspection | None) -> None:
        self.query_one(MemoryPanel).set_subject(draft, inspection)
        self.query_one(GroupsPanel).set_subject(draft if inspection is not None else None)

    def _say_remarks(self, inspection: Inspection, draft: RunConfig) -> None:
        said = self.query_one("#said", Lines)
        lines = remarks(inspection, draft.model.freeze, max(20, said.size.width or 60))
        said.display = bool(lines)
        said.styles.height = len(lines) + (1 if self.screen.has_class("-h24") else 2)
        said.show(lambda width, height: remarks(inspection, draft.model.freeze, width))

    def _show_failure(self, draft: RunConfig, error: str) -> None:
        """In the tree's place: what is wrong, and the keys that help."""
        self.add_class("-nothing")
        self.query_one(ModuleTree).entitle(name(draft.model.name), "")
        said = self.query_one("#said", Lines)
        said.display = True
        said.styles.height = "1fr"

        def draw(width: int, height: int) -> list[str]:
            # The keys that help stay in view below a long error.
            words = [f"[$text-muted]{line}[/]" for line in prose(error, max(20, width - 6))][: max(2, height - 8)]
            there = "v" if self.screen.has_class("-w80") else "Tab"
            ways = [(there, "choose another model"), ("o", "open path/to/file.py:factory"), ("1", "look at the data")]
            empty = nothing_here("[$error]The model can't be built[/]", "", ways, glyph="[$error]✗[/]")
            head = empty(width, len(ways) + 2)
            return [head[0], "", *(f"   {line}" for line in words), "", *head[2:]]

        said.show(draw)
        if self.is_on_screen and not isinstance(self.screen.focused, ModelList):
            self.screen.set_focus(said)

    @on(ModuleTree.Highlighted)
    def _show_detail(self, message: ModuleTree.Highlighted) -> None:
        message.stop()
        for panel in self.query(ModulePanel):
            panel.show_module(message.row.path)

    # The watched run

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
        for panel in self.query(ModulePanel):
            panel.set_run(self._reader)
        self._show_gradients(newest.step if newest is not None and heat else 0)

    def _show_gradients(self, step: int) -> None:
        panel, inspection, reader = self.query_one("#gradients", Lines), self._inspection, self._reader
        if inspection is None or reader is None or not step:
            panel.entitle("Gradients")
            panel.show(
                nothing_here(
                    "No gradients yet", "a run of this model records them", [("S", "start one"), ("5", "choose one")]
                )
            )
            return
        panel.entitle(f"Gradients  [not b $text-muted]{name(reader.path.name)}, step {step:,}[/]")
        histories: list[tuple[str, Sequence[float], Sequence[float], bool]] = []
        for row in inspection.report.modules:
            if row.own_params and len(histories) < _MOST_IN_TABLE:
                _, norms, ratios = reader.gradients().history(row.path)
                histories.append((row.path, norms, ratios, row.trainable > 0))
        panel.show(lambda width, height: gradient_table(histories[: max(1, height - 1)], width))


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
