"""The settings of the next run that are neither data nor model, and the command that would start it."""

from __future__ import annotations

from textual import on, work
from textual.app import ComposeResult
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from engine.config import RunConfig
from engine.config_file import load_config
from engine.errors import TorchdeckError
from engine.presets import list_presets
from tui.aside import Aside, AsideError
from tui.draft_form import ADD, command_line, draft_fields
from tui.messages import ArgumentRemoved, DraftEdited, DraftReplaced
from tui.widgets.config_form import ConfigForm, FormField
from tui.widgets.plain_text import printable

_PRESET = "preset"


class SetupPane(Widget, can_focus=True):
    """A form of the draft; what is wrong with it is said below, before a run is started.

    Attributes:
        draft: the config that is shown.
        draft_error: what was wrong with the last edit.
        spec: the preset or file that the draft came from.
    """

    DEFAULT_CSS = """
    SetupPane { layout: vertical; padding: 0 1; }
    SetupPane > #verdict { height: auto; max-height: 5; color: $text-error; }
    SetupPane > #command { height: auto; max-height: 4; color: $text-muted; }
    """

    draft: reactive[RunConfig | None] = reactive(None)
    draft_error: reactive[str] = reactive("")

    def __init__(self, aside: Aside, spec: str, id: str | None = None) -> None:
        super().__init__(id=id)
        self.spec = spec
        self._loaded: RunConfig | None = None
        self._aside = aside
        self._completions: dict[str, list[str]] = {}

    def compose(self) -> ComposeResult:
        """The form, the verdict, the command."""
        yield ConfigForm()
        yield Static(id="verdict", markup=False)
        yield Static(id="command", markup=False)

    async def on_mount(self) -> None:
        """Show the draft; what can be completed comes when torch has been asked."""
        await self._show()
        self._ask_torch()

    def on_focus(self) -> None:
        """The cursor belongs into the form."""
        self.query_one(ConfigForm).focus_field(_PRESET)

    async def watch_draft(self) -> None:
        """Show the new values, and check them where torch is."""
        if self.is_mounted:
            await self._show()
            self._check()

    def watch_draft_error(self, error: str) -> None:
        """Say what is wrong with the last edit."""
        if self.is_mounted:
            self._say(error)

    @on(ConfigForm.Changed)
    def _edit(self, message: ConfigForm.Changed) -> None:
        message.stop()
        key, text = message.key, message.value.strip()
        if key == _PRESET:
            self._load(text)
        elif key.endswith(f".{ADD}"):
            name, equals, value = text.partition("=")
            if equals and name.strip() and value.strip():
                self.post_message(DraftEdited(f"{key.removesuffix(ADD)}{name.strip()}", value.strip()))
            else:
                self._say(f"{text}: must be name=value, such as momentum=0.9")
        elif not text and self.draft is not None and key.rpartition(".")[2] in self._arguments(key):
            self.post_message(ArgumentRemoved(key))
        else:
            self.post_message(DraftEdited(key, text))

    def _arguments(self, key: str) -> dict[str, object]:
        section = getattr(self.draft, key.partition(".")[0], None)
        return getattr(section, "arguments", {})

    def _load(self, preset: str) -> None:
        if preset == self.spec:
            return
        try:
            config = load_config(preset)
        except TorchdeckError as error:
            self._say(str(error))
            return
        self.spec, self._loaded = preset, config
        self.post_message(DraftReplaced(config))

    async def _show(self) -> None:
        draft = self.draft
        if draft is None:
            return
        presets = tuple(preset.name for preset in list_presets())
        choices = presets if self.spec in presets else (self.spec, *presets)
        first = FormField(
            _PRESET, _PRESET, "choice", self.spec, choices, "where the settings come from", section="run"
        )
        await self.query_one(ConfigForm).set_fields([first, *draft_fields(draft, self._completions)])
        self._say("")
        # The first draft is what the studio was opened with: the binding brings it after mounting.
        self._loaded = self._loaded or draft
        self.query_one("#command", Static).update(printable(command_line(draft, self._loaded, self.spec)))

    @work(exclusive=True, group="completions", exit_on_error=False)
    async def _ask_torch(self) -> None:
        optimizers = await self._aside.call("engine.training.optimizers:list_optimizers")
        schedules = await self._aside.call("engine.training.schedules:list_schedules")
        self._completions = {
            "optimizer.name": [entry.name for entry in optimizers],
            "schedule.name": [entry.name for entry in schedules],
        }
        await self._show()

    @work(exclusive=True, group="check", exit_on_error=False)
    async def _check(self) -> None:
        draft = self.draft
        try:
            await self._aside.call("engine.build:check", draft)
        except (TorchdeckError, AsideError) as error:
            self._say(str(error))

    def _say(self, text: str) -> None:
        self.query_one("#verdict", Static).update("\n".join(map(printable, text.splitlines())))
