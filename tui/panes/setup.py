"""The setup pane: settings of the next run other than data and model, and the command that starts it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from rich.cells import cell_len
from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.widgets import Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.config.presets import list_presets
from torchdeck.engine.errors import TorchdeckError

from ..draft_form import ADD, command_line, draft_fields, faulty_field, without_origin
from ..messages import ArgumentRemoved, DraftEdited, DraftReplaced
from ..plain_text import printable, printable_lines
from ..process import worker_calls
from ..process.worker_process import WorkerError, WorkerProcess
from ..widgets.config_form import ConfigForm, FormField
from ..working import Working
from .pane import Pane

_PRESET = "preset"
_KEYS = "↑↓ move · ←→ choose · Enter applies · Esc cancels · F6 plan · F5 starts"


class SetupPane(Working, Pane):
    """A form of the draft; errors appear below their fields, before a run is started.

    The form is built when the pane is first shown.

    Attributes:
        draft: config that is shown.
        draft_error: error of the last edit; empty if it was valid.
        spec: preset or file that the draft was made from.
    """

    DEFAULT_CSS = """
    SetupPane { layout: vertical; padding: 0 1; }
    SetupPane > Static { height: auto; color: $text-muted; }
    SetupPane > #verdict { max-height: 5; }
    SetupPane > #command { max-height: 3; }
    SetupPane > #hint { height: auto; max-height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave_form", "Leave the form", show=False),
        Binding("f6", "plan", "Plan"),
    ]

    draft: reactive[RunConfig | None] = reactive(None)
    draft_error: reactive[str] = reactive("")
    spec: reactive[str] = reactive("")

    def __init__(self, worker: WorkerProcess, id: str | None = None) -> None:
        super().__init__(id=id)
        self._loaded: tuple[str, RunConfig] | None = None
        self._worker = worker
        self._completions: dict[str, list[str]] = {}
        self._shown: tuple[RunConfig, str] | None = None
        self._checked: RunConfig | None = None
        self._off: dict[str, str] = {}
        self._faulty = ""

    def compose(self) -> ComposeResult:
        """Lay out the form, the verdict, the command and the keys."""
        yield ConfigForm()
        yield Static(id="verdict", markup=False)
        yield Static(id="command", markup=False)
        # It takes the focus when the user leaves the form, so that the keys of the pane work.
        hint = Static(_KEYS, id="hint", markup=False)
        hint.can_focus = True
        yield hint

    async def on_show(self, event: events.Show) -> None:
        """Show and check changes made while the pane was hidden; the first time, ask for completions."""
        if not self._completions:
            self._ask_torch()
        await self._show_draft()

    async def on_focus(self) -> None:
        """Focus the form."""
        await self._show_draft()
        if self.screen.focused is self:
            self.query_one(ConfigForm).focus_field(_PRESET)

    async def watch_draft(self) -> None:
        """Show the new values; while the pane is hidden, only if a field still holds what led to them."""
        if self.is_mounted and (self.is_on_screen or self.query_one(ConfigForm).unsettled is not None):
            await self._show_draft()

    async def watch_draft_error(self, error: str) -> None:
        """Show the error of the last edit, below its field if the error names one."""
        if not self.is_mounted:
            return
        self._blame(error, is_ignored=True)
        if not error and self.is_on_screen:
            # The rejected text may still be in its field, and the verdict is about the draft again.
            self._shown = self._checked = None
            await self._show_draft()

    def unsettled(self) -> str:
        """Why a field shows something else than what the draft holds, or what is wrong with it; empty if all agree."""
        form = self.query_one(ConfigForm)
        if (field := form.unsettled) is not None:
            return f"{field.label} shows {form.text_of(field.key)!r}, which is {field.error or 'not applied yet'}"
        if self._faulty and self._shown == (self.draft, self.spec):
            return f"{self._faulty}: {form.error_of(self._faulty)}"
        return ""

    def go_to_unsettled(self) -> None:
        """Put the cursor on the field that `unsettled` is about."""
        form = self.query_one(ConfigForm)
        field = form.unsettled
        form.focus_field(field.key if field is not None else self._faulty)

    def go_to(self, key: str) -> None:
        """Put the cursor on a field."""
        self.query_one(ConfigForm).focus_field(key)

    @work
    async def code_trusted(self) -> None:
        """Check the draft again, now that its code may run."""
        await self.watch_draft()

    def action_plan(self) -> None:
        """Show the draft's plan: learning rate over the steps, and parameter groups."""
        if self.draft is not None:
            from ..screens.plan import PlanScreen

            self.app.push_screen(PlanScreen(self.draft, self._worker))

    def action_leave_form(self) -> None:
        """Leave the form, so that letters and digits are keys again."""
        self.query_one("#hint").focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show a field's full help below the form, if it does not fit behind the field."""
        form = self.query_one(ConfigForm)
        field = form.focused_field
        help_text = (field.off or field.help) if field is not None else ""
        words = f"{field.label}: {help_text}" if field is not None and cell_len(help_text) > form.help_cells else _KEYS
        self.query_one("#hint", Static).update(printable(words))

    @on(ConfigForm.Changed)
    def _edit(self, message: ConfigForm.Changed) -> None:
        message.stop()
        key, text = message.key, message.value.strip()
        if key == _PRESET:
            self._load(text)
        elif key.endswith(f".{ADD}"):
            self._add(key, text)
        elif not text and self.draft is not None and key.rpartition(".")[2] in self._arguments(key):
            self.post_message(ArgumentRemoved(key))
        else:
            self.post_message(DraftEdited(key, text))

    def _add(self, key: str, text: str) -> None:
        name, equals, value = text.partition("=")
        if equals and name.strip() and value.strip():
            self.post_message(DraftEdited(f"{key.removesuffix(ADD)}{name.strip()}", value.strip()))
        else:
            self._show_fault(key, f"{text}: write name=value, such as momentum=0.9" if text else "")

    def _arguments(self, key: str) -> dict[str, object]:
        section = getattr(self.draft, key.partition(".")[0], None)
        return getattr(section, "arguments", {})

    def _load(self, preset: str) -> None:
        if preset == self.spec:
            return
        try:
            config = load_config(preset)
        except TorchdeckError as error:
            self._blame(str(error))
            return
        self.post_message(DraftReplaced(config, spec=preset))

    async def _show_draft(self) -> None:
        draft = self.draft
        if draft is None:
            return
        if (draft, self.spec) != self._shown:
            self._shown = draft, self.spec
            await self._fill_form(draft)
        if draft != self._checked:
            self._checked = draft
            self._check(draft)

    async def _fill_form(self, draft: RunConfig) -> None:
        presets = tuple(preset.name for preset in list_presets())
        choices = presets if self.spec in presets else (self.spec, *presets)
        first = FormField(
            _PRESET, _PRESET, "choice", self.spec, choices, "the preset or file to start from", section="run"
        )
        fields = [replace(field, off=self._off.get(field.key, "")) for field in draft_fields(draft, self._completions)]
        await self.query_one(ConfigForm).set_fields([first, *fields])
        self._faulty = ""
        if self._loaded is None or self._loaded[0] != self.spec:
            self._loaded = self.spec, self._config_of_spec() or draft
        command = command_line(draft, self._loaded[1], self.spec)
        # The pane may have been removed while the form was filled.
        for line in self.query("#command").results(Static):
            line.update(printable(f"$ {command}"))

    def _config_of_spec(self) -> RunConfig | None:
        """The config in the preset or file; None if it can no longer be read."""
        try:
            return load_config(self.spec)
        except TorchdeckError:
            return None

    @work(exclusive=True, group="completions")
    async def _ask_torch(self) -> None:
        try:
            optimizers = await self._worker.call(worker_calls.LIST_OPTIMIZERS)
            schedules = await self._worker.call(worker_calls.LIST_SCHEDULES)
        except (TorchdeckError, WorkerError) as error:
            words = f"no completion of optimizer names: {printable(str(error))}"
            self.notify(words, severity="warning", markup=False)
            return
        self._completions = {
            "optimizer.name": [entry.name for entry in optimizers],
            "schedule.name": [entry.name for entry in schedules],
        }
        if self.draft is not None and self.is_on_screen:
            await self._fill_form(self.draft)

    @work(exclusive=True, group="check")
    async def _check(self, draft: RunConfig) -> None:
        self._say("checking …")
        try:
            await self._worker.call(worker_calls.CHECK_CONFIG, draft)
            self._off = await self._worker.call(worker_calls.WITHOUT_EFFECT, draft)
            self.query_one(ConfigForm).set_off(self._off)
        except (TorchdeckError, WorkerError) as error:
            # An error outside the draft may be fixed the next time the pane is shown.
            self._checked = None
            self._blame(str(error))
        else:
            self._blame(self.draft_error, is_ignored=True)
            if not self.draft_error:
                self._say("✓ ready to start", "green")

    def _blame(self, error: str, *, is_ignored: bool = False) -> None:
        """Show an error below its field, or below the form if it names none; "" clears it.

        Args:
            error: what is wrong.
            is_ignored: whether it is about an edit that was ignored, so that the old value still applies.
        """
        self._show_fault(self._faulty, "")
        text = without_origin(error)
        fields = self.query_one(ConfigForm).fields
        values = {field.key: field.value for field in fields}
        key = faulty_field(text, fields)
        if text and is_ignored:
            text = f"{text}; ignored{f'; still {values[key]}' if values.get(key) else ''}"
        if key and text:
            self._show_fault(key, text)
        self._say(text, "red")

    def _show_fault(self, key: str, text: str) -> None:
        if key:
            self._faulty = key if text else ""
            self.query_one(ConfigForm).set_error(key, text)

    def _say(self, text: str, style: str = "") -> None:
        self.query_one("#verdict", Static).update(Text(printable_lines(text), style=style))
