"""What the keys of the setup pane do: to the field under the cursor, and to the plan."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.actions import SkipAction
from textual.binding import BindingType
from textual.reactive import reactive

from torchdeck.engine.config import Component, RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.config.presets import list_presets
from torchdeck.engine.detached.gpus import GpuState, NvmlGpus, Occupant, occupants, visible_gpus
from torchdeck.engine.errors import TorchdeckError

from ...draft_form import DEVICES, Libraries, with_gpus
from ...draft_sections import PRESET
from ...keys.bindings import bindings
from ...messages import ArgumentRemoved, DraftEdited, DraftReplaced
from ...process.worker_process import WorkerProcess
from ...screens.choose_gpus import ChooseGpusScreen
from ...screens.pick import PickEntry, PickScreen
from ...widgets.config_form import ConfigForm
from ...widgets.filter_field import FilterField, ask_filter
from ...widgets.form_field import FormField
from ...words.setup.setting_text import Suggestion, shell_form
from ...working import Working
from ..pane import Pane
from .plan import PlanPanel

_EXAMPLES = "part of a name or its help: lr, workers, early"


@dataclass(frozen=True)
class Edit:
    """An edit made in the form.

    Attributes:
        key: the field.
        text: what it was set to.
    """

    key: str
    text: str


class SetupKeys(Working, Pane):
    """The part of the setup pane that changes the draft.

    Attributes:
        draft: config that is shown.
        draft_error: error of the last edit; empty if it was valid.
        spec: preset or file that the draft was made from.
        libraries: what the installed libraries offer, once that is known.
        last_edit: the last edit made here; its text stays in the field while it is rejected.
        wanted: filter of the fields.
        suggestions: by key, a value that was found, for the user to apply.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("setup")
    VIEWS = ("fields", "plan")

    draft: reactive[RunConfig | None] = reactive(None)
    draft_error: reactive[str] = reactive("")
    spec: reactive[str] = reactive("")

    def __init__(self, worker: WorkerProcess, runs_root: Path, id: str | None = None) -> None:
        """Create the pane.

        Args:
            worker: process that checks and plans the draft.
            runs_root: folder that holds the runs.
            id: id of the widget.
        """
        super().__init__(id=id)
        self.worker = worker
        self.runs_root = runs_root
        self.libraries = Libraries()
        self.last_edit: Edit | None = None
        self.wanted = ""
        self.suggestions: dict[str, Suggestion] = {}

    @property
    def form(self) -> ConfigForm:
        """The fields."""
        return self.query_one("#form", ConfigForm)

    @property
    def plan_panel(self) -> PlanPanel:
        """The panel of the plan."""
        return self.query_one("#plan", PlanPanel)

    def next_view(self, by: int) -> None:
        """Show the fields or the plan, where there is no room for both."""
        if self.screen.has_class("-w80"):
            super().next_view(by)
        else:
            self.app.notify("fields and plan are both in view")

    def show_draft(self) -> None:
        """Show the draft as it is now."""
        raise NotImplementedError

    def suggestion_for(self, field: FormField) -> Suggestion | None:
        """A value of the field that may be taken; None if there is none."""
        raise NotImplementedError

    # Edits

    @on(ConfigForm.Changed)
    def _edit(self, message: ConfigForm.Changed) -> None:
        message.stop()
        if message.key == PRESET:
            self._load(message.value)
        elif not message.value and self._is_argument(message.key):
            self.post_message(ArgumentRemoved(message.key))
        else:
            self._set(message.key, message.value)

    def _set(self, key: str, text: str) -> None:
        self.last_edit = Edit(key, text)
        self.post_message(DraftEdited(key, text))
        if self.draft_error:
            # The same error again changes nothing that is watched, but the text is another one.
            self.show_draft()

    def _load(self, preset: str) -> None:
        if preset == self.spec:
            return
        try:
            config = load_config(preset)
        except TorchdeckError as error:
            self.notify(str(error), title="Not loaded", severity="warning")
            return
        self.post_message(DraftReplaced(config, spec=preset))

    def _component(self, key: str) -> Component | None:
        """The component whose section a key lies in."""
        section = getattr(self.draft, key.partition(".")[0], None)
        return section if isinstance(section, Component) else None

    def _is_argument(self, key: str) -> bool:
        section = self._component(key)
        return section is not None and key.partition(".")[2] not in type(section).model_fields

    @on(ConfigForm.ChoiceWanted)
    @work(exclusive=True, group="choice")
    async def _choose(self, message: ConfigForm.ChoiceWanted) -> None:
        field = message.field
        if field.key == DEVICES:
            await self._choose_gpus(field)
            return
        notes = {preset.name: preset.description for preset in list_presets()} if field.key == PRESET else {}
        entries = [
            PickEntry(choice, "now" if choice == field.value else notes.get(choice, "")) for choice in field.choices
        ]
        chosen = await self.app.push_screen_wait(PickScreen(field.key, entries))
        if chosen is not None and chosen != field.shown:
            self.form.post_message(ConfigForm.Changed(self.form, field.key, chosen))

    async def _choose_gpus(self, field: FormField) -> None:
        """List the GPUs of this machine; where they can't be looked at, their numbers are typed."""
        draft = self.draft
        assert draft is not None
        try:
            gpus, occupants = await asyncio.to_thread(_gpus_here)
        except TorchdeckError as error:
            self.notify(f"{error}; type their numbers, such as [0, 1]", title="No list of GPUs", severity="warning")
            self.form.type_into(field)
            return
        screen = ChooseGpusScreen(gpus, occupants, draft.parallel.devices, draft.loader.batch_size)
        chosen = await self.app.push_screen_wait(screen)
        if chosen is not None and list(chosen) != draft.parallel.devices:
            # Each GPU has its process: a number of them that was set before would contradict.
            self.post_message(DraftReplaced(with_gpus(draft, chosen)))

    def action_reset(self) -> None:
        """Set the field back to the preset's value; from there, to the default. Removes an added argument."""
        field = self.form.field
        if field is None or field.key == PRESET:
            self.notify("u undoes the last change", title="Nothing to set back here")
        elif field.typed is not None:
            self._set(field.key, field.value)
        elif field.is_changed and field.origin is not None:
            self._set(field.key, field.origin)
        elif self._is_argument(field.key):
            if field.is_set:
                self.post_message(ArgumentRemoved(field.key))
            else:
                self.notify(f"{field.key} is not set", title="Nothing to remove")
        elif field.default is not None and field.value != field.default:
            self._set(field.key, field.default)
        else:
            self.notify(f"{field.key} = {field.value}", title="Already at the default")

    @work(exclusive=True, group="argument")
    async def action_add(self) -> None:
        """Ask for an argument of the component whose section the cursor is in."""
        from ...screens.ask import PromptScreen

        field = self.form.field
        section = self._component(field.key) if field is not None else None
        if field is None or section is None:
            self.notify("move to Loss, Optimizer or Schedule first", title="No library argument here")
            return
        part = field.key.partition(".")[0]
        known = self.libraries.arguments.get((part, section.name), {})
        takes = [f"{name} = {default}" if default else name for name, default in known.items()]
        words = "name=value" + (f"; it takes {', '.join(takes)}" if takes else ", such as momentum=0.9")
        answer, error = "", ""
        while True:
            title = f"Add an argument of {section.name}"
            given = await self.app.push_screen_wait(PromptScreen(title, words, answer, error=error))
            if not given:
                return
            name, equals, value = (piece.strip() for piece in given.partition("="))
            if equals and name and value:
                break
            answer, error = given, "write name=value, such as momentum=0.9"
        self._set(f"{part}.{name}", value)

    def action_copy(self) -> None:
        """Copy the field as an option of the command line; from the plan, the whole command."""
        field = self.form.field
        if self.plan_panel.has_focus or field is None:
            text = self.plan_panel.command
        elif field.key == PRESET or not field.is_set:
            self.notify(f"{field.key} has no --set form", title="Nothing to copy")
            return
        else:
            text = shell_form(field)
        self.app.copy_to_clipboard(text)
        self.notify(text, title="Copied")

    # Measuring

    def action_measure(self) -> None:
        """Look for the learning rate or the batch size under the cursor; elsewhere, do a dry run with a real step."""
        field = self.form.field
        key = field.key if field is not None and not self.plan_panel.has_focus else ""
        if not self.find_value(key):
            if not self.plan_panel.is_on_screen:
                self.show_view("plan")
            self.plan_panel.measure()

    def find_value(self, key: str) -> bool:
        """Search for the learning rate or the batch size; False for a setting whose value can't be found."""
        if key == "optimizer.lr":
            self._find_rate()
        elif key == "loader.batch_size":
            self._find_batch()
        else:
            return False
        return True

    @work(exclusive=True, group="search")
    async def _find_rate(self) -> None:
        from ...screens.lr_find import LearningRateScreen

        if self.draft is None:
            return
        screen = LearningRateScreen(self.draft, self.worker)
        rate = await self.app.push_screen_wait(screen)
        if rate is not None:
            self._set("optimizer.lr", f"{rate:g}")
        elif screen.suggested is not None:
            self._suggest("optimizer.lr", Suggestion(f"{screen.suggested:g}", "lr-find suggests"))

    @work(exclusive=True, group="search")
    async def _find_batch(self) -> None:
        from ...screens.batch_find import BatchSearchScreen

        if self.draft is None:
            return
        screen = BatchSearchScreen(self.draft, self.worker)
        size = await self.app.push_screen_wait(screen)
        if size is not None:
            self._set("loader.batch_size", str(size))
        elif screen.suggested is not None:
            self._suggest("loader.batch_size", Suggestion(str(screen.suggested), "largest batch that fits:"))

    def _suggest(self, key: str, suggestion: Suggestion) -> None:
        self.suggestions[key] = suggestion
        self.show_draft()

    def action_take(self) -> None:
        """Write the suggested value of the field into the draft."""
        field = self.form.field
        suggestion = self.suggestion_for(field) if field is not None else None
        if field is None or suggestion is None:
            self.notify("m on lr or batch_size looks for one", title="No suggestion for this field")
        else:
            self._set(field.key, suggestion.text)

    def action_inspect(self) -> None:
        """Show the plan in full: the learning rate of every step, and parameter groups."""
        if self.draft is not None:
            from ...screens.plan import PlanScreen

            self.app.push_screen(PlanScreen(self.draft, self.worker))

    # Finding

    async def action_find(self) -> None:
        """Let the user type part of a setting's name."""
        if self.view == "fields":
            await ask_filter(self.form, self.wanted, _EXAMPLES)
        else:
            # The view takes the focus when it is laid out.
            self.show_view("fields")
            self.call_after_refresh(ask_filter, self.form, self.wanted, _EXAMPLES)

    @on(FilterField.Typed)
    def _filter(self, message: FilterField.Typed) -> None:
        message.stop()
        self.wanted = message.text
        self.show_draft()

    def action_back(self) -> None:
        """One step back: stop a measurement, clear a rejected text, clear the filter."""
        field = self.form.field
        if self.plan_panel.stop_measuring():
            return
        if field is not None and field.typed is not None:
            self._set(field.key, field.value)
        elif self.wanted:
            self.wanted = ""
            self.show_draft()
        else:
            raise SkipAction

    def offers(self, action: str) -> bool:
        """Offer a key where it does something to the field under the cursor."""
        field = self.form.field if self.is_mounted else None
        if action == "take":
            return field is not None and self.suggestion_for(field) is not None
        if action == "add":
            return field is not None and self._component(field.key) is not None
        if action == "reset":
            return field is not None and field.key != PRESET and (field.is_changed or field.value != field.default)
        if action == "back":
            return bool(self.wanted or (field is not None and field.typed is not None))
        return True


def _gpus_here() -> tuple[list[GpuState], dict[int, list[Occupant]]]:
    """The GPUs that CUDA shows to this process, and what occupies each. Raises TorchdeckError."""
    gpus = visible_gpus(NvmlGpus().look(), os.environ)
    if not gpus:
        raise TorchdeckError("CUDA_VISIBLE_DEVICES hides every GPU of this machine")
    return gpus, {gpu.index: occupants(gpu) for gpu in gpus}
