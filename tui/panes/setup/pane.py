"""The setup pane: every setting of the next run other than data and model, what it means, and what the run will be."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.message import Message

from torchdeck.engine.config import RunConfig
from torchdeck.engine.config.file import load_config
from torchdeck.engine.config.presets import list_presets
from torchdeck.engine.errors import TorchdeckError

from ...draft_form import command_line, draft_fields, faulty_field, libraries_of, without_origin
from ...draft_sections import PRESET, SectionCount, form_sections, section_counts
from ...drawing import left, name
from ...keys.bindings import bindings
from ...process import worker_calls
from ...process.worker_process import WorkerError, WorkerProcess
from ...widgets.config_form import ConfigForm
from ...widgets.form_field import FormField
from ...widgets.panel import Lines
from ...widgets.rows import Rows
from ...words.setup.draft_plan import schedule_lines, schedule_title
from ...words.setup.setting_text import Suggestion, best_used, difference_lines, field_lines
from .keys import SetupKeys
from .plan import PlanPanel

if TYPE_CHECKING:
    from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
    from torchdeck.engine.runs.browsing.used_values import PastRun, UsedValue

_COUNTED_FROM = 24  # cells
_READ_AFTER = 0.5  # seconds: the first picture comes first


class SectionList(Rows):
    """The sections of the form, with counts of what differs and what is wrong."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("sections")

    class Entered(Message):
        """The user wants to go to the fields of the section."""

    def action_enter(self) -> None:
        """Go to the fields of the section."""
        self.post_message(self.Entered())


class SetupPane(SetupKeys):
    """A form of the draft, between its sections and what the field under the cursor means; the plan stays in view."""

    DEFAULT_CSS = (Path(__file__).with_suffix(".tcss")).read_text(encoding="utf-8")

    def __init__(self, worker: WorkerProcess, runs_root: Path, id: str | None = None) -> None:
        super().__init__(worker, runs_root, id=id)
        self._fields: list[FormField] = []
        self._origin: tuple[str, RunConfig] | None = None
        self._counts: list[SectionCount] = []
        self._wrong = ("", "")
        self._idle: list[tuple[str, str]] = []
        self._command = ""
        self._past: list[PastRun] = []
        self._used_by_key: dict[str, list[UsedValue]] = {}
        self._catalog: RunCatalog | None = None

    def compose(self) -> ComposeResult:
        """Lay out sections, fields, and at the right what they mean and lead to."""
        yield SectionList("Setup", id="sections")
        with Vertical(id="middle"):
            yield ConfigForm(id="form", classes="-lead")
            yield Lines("Field", id="hint")
        with Vertical(id="side"):
            yield Lines("Field", id="field")
            schedule = Lines("Schedule", id="schedule")
            schedule.entitle(subtitle="epoch")
            yield schedule
            yield PlanPanel(self.worker, self.runs_root, id="plan")
            yield Lines("Differs from the preset", id="differs")

    def on_mount(self) -> None:
        """Fill the form; the rest follows when it is seen."""
        self.show_draft()

    def on_show(self, event: events.Show) -> None:
        """Plan the draft as it is now, and read what earlier runs used."""
        if self.draft is not None:
            self.plan_panel.make(self.draft, is_again=True)
        if not self.libraries.names:
            self._ask_torch()
        self._read_runs()

    def focus_first(self) -> None:
        """Focus the fields, or what is being typed; the plan where it alone is shown."""
        is_form_shown = self.query_one("#middle").display
        self.screen.set_focus((self.form.editor or self.form) if is_form_shown else self.plan_panel)

    def watch_draft(self, before: RunConfig | None) -> None:
        """Show the new values."""
        if self.is_mounted and self.draft is not None:
            self.last_edit = None
            self.show_draft()
            if self.is_on_screen:
                self.plan_panel.make(self.draft)

    def watch_draft_error(self) -> None:
        """Show the error of the last edit, at its field if the error names one."""
        if self.is_mounted:
            self.show_draft()

    def watch_spec(self) -> None:
        """Count differences from another preset."""
        if self.is_mounted:
            self.show_draft()

    def code_trusted(self) -> None:
        """Check the draft again, now that its code may run."""
        if self.draft is not None and self.is_on_screen:
            self.plan_panel.make(self.draft, is_again=True)

    # What is wrong

    def unsettled(self) -> str:
        """Why a field shows something else than what the draft holds, or what is wrong with it; empty if all agree."""
        if (typed := self.form.unapplied) is not None:
            return f"{typed[0].label} shows {typed[1]!r}, which is not applied yet"
        key, text = self._problem(self._fields)
        return text if key else ""

    def go_to_unsettled(self) -> None:
        """Put the cursor on the field that `unsettled` is about."""
        if self.form.unapplied is None:
            self.go_to(self._problem(self._fields)[0])

    def go_to(self, key: str) -> None:
        """Put the cursor on a field, whatever the filter leaves out."""
        self.show_view("fields")
        if not self.form.go_to(key) and self.wanted:
            self.wanted = ""
            self.show_draft()
            self.form.go_to(key)
        self.screen.set_focus(self.form)

    def _problem(self, fields: list[FormField]) -> tuple[str, str]:
        """Key of the field that is wrong, if it is one, and what is wrong; both empty if nothing is."""
        plan = self.plan_panel.plan
        if self.draft_error:
            text = without_origin(self.draft_error)
            key = faulty_field(text, fields) or (self.last_edit.key if self.last_edit is not None else "")
            kept = next((field.value for field in fields if field.key == key), "")
            return key, f"{text}; ignored{f'; still {kept}' if kept else ''}"
        if plan is not None and plan.draft == self.draft and plan.error:
            return faulty_field(plan.error, fields), plan.error
        return "", ""

    # What is shown

    def show_draft(self) -> None:
        """Show the draft in every panel."""
        draft = self.draft
        if draft is None:
            return
        origin = self._config_of_spec(draft)
        plan = self.plan_panel.plan
        fields = [
            self._preset_field(),
            *draft_fields(draft, self.libraries, origin=origin, off=plan.off if plan is not None else {}),
        ]
        key, problem = self._problem(fields)
        self._fields = [self._with_problem(field, key, problem) for field in fields]
        self._used_by_key.clear()
        sections = form_sections(self._fields, self.wanted)
        self._counts = section_counts(sections)
        self.form.set_sections(sections, position="[$primary]●[/] differs · [$error]▲[/] wrong")
        spec = f"[not bold $text-muted]from {'preset ' if '/' not in self.spec else ''}{name(self.spec, 40)}[/]"
        found = f"  [not bold]/ {name(self.wanted, 30)}[/]" if self.wanted else ""
        self.form.entitle(f"{name(draft.name, 40)}  {spec}{found}")
        self._show_sections()
        self._show_field()
        self._wrong = key, problem
        self._idle = [(field.key, field.off) for field in self._fields if field.off and field.is_changed]
        self._command = command_line(draft, origin, self.spec)
        self._tell_plan()
        self.query_one("#differs", Lines).show(lambda width, height: difference_lines(self._fields, width)[:height])

    def _tell_plan(self) -> None:
        """Say in the plan what is wrong, unless the panel of the field beside it says it."""
        key, problem = self._wrong
        field = self.form.field
        is_said = bool(key) and field is not None and field.key == key
        is_seen = any(self.query_one(panel).is_on_screen for panel in ("#field", "#hint"))
        words = f"{key} is wrong: its field says why" if is_said and is_seen else problem
        self.plan_panel.tell(words, self._idle, self._command)

    def _with_problem(self, field: FormField, key: str, problem: str) -> FormField:
        if field.key != key:
            return field
        edit = self.last_edit if self.draft_error else None
        return replace(field, error=problem, typed=edit.text if edit is not None and edit.key == key else None)

    def _preset_field(self) -> FormField:
        presets = tuple(preset.name for preset in list_presets())
        choices = presets if self.spec in presets else (self.spec, *presets)
        words = "preset or file to start from; another one replaces the whole draft (u undoes that)"
        return FormField(PRESET, PRESET, "choice", self.spec, choices, words, section="run", origin=self.spec)

    def _config_of_spec(self, draft: RunConfig) -> RunConfig:
        """The config in the preset or file; if it can no longer be read, that is said, and it is the present draft."""
        if not self.spec:
            # The draft is bound before its origin.
            return draft
        if self._origin is None or self._origin[0] != self.spec:
            try:
                self._origin = self.spec, load_config(self.spec)
            except TorchdeckError as error:
                self._origin = self.spec, draft
                why = f"{error}; ● marks what differs from the draft as it is now"
                self.notify(why, title=f"{self.spec} can't be read", severity="warning")
        return self._origin[1]

    def _show_sections(self) -> None:
        counts = self._counts
        at = next((at for at, count in enumerate(counts) if count.title == self.form.section), 0)

        def row(index: int, width: int) -> str:
            count = counts[index]
            wrong = f"[$error]▲{count.wrong:<2}[/]" if count.wrong else "   "
            changed = f"[$primary]●{count.changed:<2}[/]" if count.changed else "   "
            total = f"[$text-disabled]{count.fields:>3}[/]" if width >= _COUNTED_FROM else ""
            return f"{left(count.title, width - (9 if total else 6))}{wrong}{changed}{total}"

        differ = sum(field.is_changed for field in self._fields)
        position = f"{differ} of {len(self._fields)} differ"
        self.query_one("#sections", Rows).set_rows(len(counts), row, cursor=at, position=position)

    def _show_field(self) -> None:
        field = self.form.field
        if field is None:
            words = f"No setting has {name(self.wanted)!r} in its name or help."
            draw = lambda width, height: [words, "[b $key]Esc[/] shows all"]  # noqa: E731
        else:
            used = self._used(field)
            suggestion = self.suggestion_for(field)
            draw = lambda width, height: field_lines(field, used, suggestion, width, height)  # noqa: E731
        for panel in ("#field", "#hint"):
            self.query_one(panel, Lines).show(draw)

    def _used(self, field: FormField) -> list[UsedValue]:
        from torchdeck.engine.runs.browsing.used_values import used_values

        if not self._past or self.draft is None or field.key in (PRESET, "name"):
            return []
        if field.key not in self._used_by_key:
            self._used_by_key[field.key] = used_values(self._past, field.key, self.draft.data.dataset)
        return self._used_by_key[field.key]

    def suggestion_for(self, field: FormField) -> Suggestion | None:
        """What a search found, or else the value with the best result of earlier runs."""
        found = self.suggestions.get(field.key)
        if found is not None and found.text != field.value:
            return found
        return best_used(field, self._used(field))

    @on(Rows.Moved, "#form")
    def _follow_field(self) -> None:
        self._show_field()
        self._show_sections()
        if self._wrong[0]:
            self._tell_plan()
        self.refresh_bindings()

    @on(Rows.Moved, "#sections")
    def _follow_section(self, message: Rows.Moved) -> None:
        if message.rows.has_focus and message.rows.cursor < len(self._counts):
            self.form.go_to_section(self._counts[message.rows.cursor].title)

    @on(SectionList.Entered)
    def _enter_section(self) -> None:
        self.screen.set_focus(self.form)

    @on(PlanPanel.Changed)
    def _follow_plan(self, message: PlanPanel.Changed) -> None:
        message.stop()
        self.show_draft()
        outline, why = message.plan.outline, message.plan.outline_error
        schedule = self.query_one("#schedule", Lines)
        schedule.entitle(schedule_title(outline))
        schedule.show(lambda width, height: schedule_lines(outline, why, width, height))

    # What has to be read first

    @work(exclusive=True, group="libraries")
    async def _ask_torch(self) -> None:
        try:
            optimizers = await self.worker.call(worker_calls.LIST_OPTIMIZERS)
            schedules = await self.worker.call(worker_calls.LIST_SCHEDULES)
        except (TorchdeckError, WorkerError) as error:
            self.notify(f"no names of optimizers and schedules: {error}", severity="warning")
            return
        self.libraries = libraries_of(optimizers, schedules)
        self.show_draft()

    @work(exclusive=True, group="past runs")
    async def _read_runs(self) -> None:
        await asyncio.sleep(_READ_AFTER)
        past = await asyncio.to_thread(self._read_past)
        if past != self._past:
            self._past = past
            self._used_by_key.clear()
            self._show_field()
            self.refresh_bindings()

    def _read_past(self) -> list[PastRun]:
        """Called in a thread, one at a time."""
        from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
        from torchdeck.engine.runs.browsing.used_values import past_runs

        if self._catalog is None:
            self._catalog = RunCatalog(self.runs_root)
        return past_runs(self._catalog)
