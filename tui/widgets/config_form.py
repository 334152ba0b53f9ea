"""A form of one-line fields: label, editor, help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.text import Text
from textual import events, on
from textual.actions import SkipAction
from textual.app import ComposeResult, RenderResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.message import Message
from textual.reactive import reactive
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, Static

from ..plain_text import printable

FieldKind = Literal["text", "int", "float", "bool", "choice"]
_LONGEST_LABEL = 24
_BOOL = ("false", "true")


@dataclass(frozen=True)
class FormField:
    """One field.

    Attributes:
        key: name in messages, such as `optimizer.lr`.
        label: text before the editor.
        kind: "bool" and "choice" are cycled with keys, the others are typed.
        value: value as text; a bool is "true" or "false".
        choices: values of a "choice"; for typed kinds, completions.
        help: one line behind the editor.
        error: error in the value, shown below the field.
        off: why the value has no effect at present, shown instead of the help; the field is dimmed.
        section: title of the field's group; the fields of a section are adjacent.
    """

    key: str
    label: str
    kind: FieldKind
    value: str
    choices: tuple[str, ...] = ()
    help: str = ""
    error: str = ""
    section: str = ""
    off: str = ""


class _Typed(Input):
    """The editor of a typed value; Enter or leaving it applies the value, Escape restores the old one."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "restore", show=False)]

    def __init__(self, field: FormField) -> None:
        super().__init__(value=field.value, compact=True, suggester=_completer(field.choices), select_on_focus=False)
        self.cursor_blink = False
        self.taken = field.value

    def action_restore(self) -> None:
        if self.value == self.taken:
            # Nothing to restore: the form's container handles the key.
            raise SkipAction
        self.value = self.taken


def _completer(choices: tuple[str, ...]) -> SuggestFromList | None:
    return SuggestFromList(choices, case_sensitive=False) if choices else None


class _Choice(Widget, can_focus=True):
    """The editor of a value with a few choices."""

    DEFAULT_CSS = """
    _Choice { height: 1; &:focus { background: $block-cursor-background; color: $block-cursor-foreground; } }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space,enter", "step(1)", "next", show=False),
        Binding("left", "step(-1)", "previous", show=False),
    ]

    class Changed(Message):
        """Another value was chosen."""

        def __init__(self, editor: _Choice) -> None:
            super().__init__()
            self.editor = editor

    value: reactive[str] = reactive("")

    def __init__(self, field: FormField) -> None:
        super().__init__()
        self.is_bool = field.kind == "bool"
        self.choices = _BOOL if self.is_bool else field.choices
        self.set_reactive(_Choice.value, field.value)

    def render(self) -> RenderResult:
        if self.is_bool:
            return Text("[x] on" if self.value == "true" else "[ ] off")
        return Text(f"‹ {printable(self.value)} ›", no_wrap=True, overflow="ellipsis")

    def action_step(self, step: int) -> None:
        position = self.choices.index(self.value) + step if self.value in self.choices else 0
        self._choose(self.choices[position % len(self.choices)])

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether the key selects a choice, so that it does nothing else and is not shown as if it did."""
        if self.is_bool or not character or not character.isalnum():
            return False
        return any(choice.casefold().startswith(character.casefold()) for choice in self.choices)

    def on_key(self, event: events.Key) -> None:
        # A letter selects the next choice that starts with it.
        if not event.character or not self.check_consume_key(event.key, event.character):
            return
        start = self.choices.index(self.value) + 1 if self.value in self.choices else 0
        for choice in (*self.choices[start:], *self.choices[:start]):
            if choice.casefold().startswith(event.character.casefold()):
                event.stop()
                self._choose(choice)
                return

    def on_click(self) -> None:
        self.action_step(1)

    def _choose(self, value: str) -> None:
        if value != self.value:
            self.value = value
            self.post_message(self.Changed(self))


class _Row(Widget):
    """Label, editor and help of a field, with its error below."""

    DEFAULT_CSS = """
    _Row { height: auto; layout: vertical; }
    _Row > Horizontal { height: 1; }
    _Row .label { width: 18; padding-right: 1; text-wrap: nowrap; text-overflow: ellipsis; }
    _Row .editor { width: 30%; min-width: 16; max-width: 60; }
    _Row .help { width: 1fr; padding-left: 2; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    _Row .error { display: none; height: auto; color: $text-error; padding-left: 2; }
    _Row.-error .error { display: block; }
    _Row.-off .label, _Row.-off .editor { color: $text-disabled; }
    _Row.-error .label { color: $text-error; }
    _Row:focus-within .label { text-style: bold; }
    _Row:focus-within .help { color: $foreground; }
    """

    def __init__(self, field: FormField) -> None:
        super().__init__()
        self.field = field

    def compose(self) -> ComposeResult:
        field = self.field
        with Horizontal():
            yield Static(printable(field.label), classes="label", markup=False)
            editor = _Choice(field) if field.kind in ("bool", "choice") else _Typed(field)
            yield editor.add_class("editor")
            yield Static(printable(field.off or field.help), classes="help", markup=False)
        yield Static(printable(field.error), classes="error", markup=False)

    def on_mount(self) -> None:
        self.set_class(bool(self.field.error), "-error")
        self.set_class(bool(self.field.off), "-off")

    @property
    def editor(self) -> _Typed | _Choice:
        editor = self.query_one(".editor")
        assert isinstance(editor, _Typed | _Choice)
        return editor

    def show(self, field: FormField) -> None:
        """Show a new value, help, error or choices of the same field.

        Text that is being typed stays. A rejected text also stays, until its error is cleared or the value changes.
        """
        old = self.field
        is_wrong = bool(old.error) and field.value == old.value
        self.field = field = replace(field, error=old.error) if is_wrong else field
        if not self.query(".editor"):
            # Not composed yet: it will be composed with the new field.
            return
        editor = self.editor
        if isinstance(editor, _Typed):
            if not is_wrong:
                if editor.value == editor.taken:
                    editor.value = field.value
                editor.taken = field.value
            if field.choices != old.choices:
                editor.suggester = _completer(field.choices)
        else:
            if not editor.is_bool:
                editor.choices = field.choices
            editor.value = field.value
        if (field.help, field.off, field.error) != (old.help, old.off, old.error):
            self.tell(field)

    def tell(self, field: FormField) -> None:
        """Show a new help or error; the value and the typed text stay as they are."""
        self.field = field
        # While the row is composed or removed, some of its parts are not there.
        for part, text in ((".help", field.off or field.help), (".error", field.error)):
            for place in self.query(part).results(Static):
                place.update(printable(text))
        self.set_class(bool(field.off), "-off")
        self.set_class(bool(field.error), "-error")


class ConfigForm(VerticalScroll, can_focus=False):
    """Fields in sections. Up, Down and Tab move between them; Enter, or leaving a field, applies and posts a change.

    The form does not check values: the receiver of `Changed` answers with `set_error` or with new fields.
    """

    DEFAULT_CSS = """
    ConfigForm { height: 1fr; }
    ConfigForm > .section { height: 1; margin-top: 1; text-style: bold; color: $text-accent; }
    ConfigForm > .section.-first { margin-top: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down", "move(1)", "next field", show=False, id="form.down"),
        Binding("up", "move(-1)", "previous field", show=False, id="form.up"),
    ]

    class Changed(Message):
        """The user set a field to another value."""

        def __init__(self, form: ConfigForm, key: str, value: str) -> None:
            super().__init__()
            self.form = form
            self.key = key
            self.value = value

        @property
        def control(self) -> ConfigForm:
            """The form that sent it."""
            return self.form

    def __init__(self, fields: Iterable[FormField] = (), *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._fields = list(fields)

    def compose(self) -> ComposeResult:
        """Section titles and rows."""
        section = ""
        for index, field in enumerate(self._fields):
            if field.section != section:
                section = field.section
                yield Static(printable(section), markup=False, classes="section" + " -first" * (index == 0))
            yield _Row(field)

    def on_mount(self) -> None:
        """Make all labels as wide as the longest."""
        self._align_labels()

    @property
    def fields(self) -> list[FormField]:
        """The fields that are shown."""
        return list(self._fields)

    @property
    def focused_key(self) -> str | None:
        """Key of the field with the cursor; None if the cursor is elsewhere."""
        return next((row.field.key for row in self.query(_Row) if row.has_focus_within), None)

    async def set_fields(self, fields: Sequence[FormField]) -> None:
        """Show these fields; if they have the same keys as before, update them in place so that the cursor stays."""
        rows = {row.field.key: row for row in self.query(_Row)}
        is_same = [_shape(field) for field in self._fields] == [_shape(field) for field in fields]
        self._fields = list(fields)
        if is_same and len(rows) == len(fields):
            for field in fields:
                rows[field.key].show(field)
            return
        focused = self.focused_key
        await self.recompose()
        self._align_labels()
        if focused is not None:
            self.focus_field(focused)

    def set_error(self, key: str, error: str) -> None:
        """Show the error of a field; "" clears it.

        Raises:
            KeyError: there is no such field.
        """
        row = self._row(key)
        row.tell(replace(row.field, error=error))

    def set_off(self, reasons: Mapping[str, str]) -> None:
        """Dim the fields with these keys and show why each has no effect; undim all others."""
        rows = {row.field.key: row for row in self.query(_Row)}
        self._fields = [replace(field, off=reasons.get(field.key, "")) for field in self._fields]
        for field in self._fields:
            if field.key in rows:
                rows[field.key].tell(replace(rows[field.key].field, off=field.off))

    @property
    def focused_field(self) -> FormField | None:
        """The field that has the cursor."""
        return next((row.field for row in self.query(_Row) if row.has_focus_within), None)

    @property
    def unsettled(self) -> FormField | None:
        """The first field whose editor shows another text than its value: not applied yet, or rejected."""
        rows = (row for row in self.query(_Row) if row.query(".editor"))
        return next((row.field for row in rows if row.editor.value != row.field.value), None)

    def text_of(self, key: str) -> str:
        """The text in a field's editor. Raises KeyError if there is no such field."""
        return self._row(key).editor.value

    def error_of(self, key: str) -> str:
        """The error shown below a field, or "". Raises KeyError if there is no such field."""
        return self._row(key).field.error

    @property
    def help_cells(self) -> int:
        """Width of the help behind an editor."""
        return next((row.query_one(".help").content_size.width for row in self.query(_Row)), 0)

    def focus_field(self, key: str) -> bool:
        """Move the cursor to a field; False if no field has this key."""
        for row in self.query(_Row):
            if row.field.key == key:
                row.editor.focus()
                return True
        return False

    def action_move(self, step: int) -> None:
        """Move to the next or the previous field."""
        rows = list(self.query(_Row))
        position = next((index for index, row in enumerate(rows) if row.has_focus_within), -1)
        if rows and 0 <= position + step < len(rows):
            rows[position + step].editor.focus()

    @on(Input.Submitted)
    def _submit(self, event: Input.Submitted) -> None:
        event.stop()
        self._take(event.input)
        self.action_move(1)

    @on(Input.Blurred)
    def _leave(self, event: Input.Blurred) -> None:
        event.stop()
        self._take(event.input)

    @on(Input.Changed)
    def _keep_to_itself(self, event: Input.Changed) -> None:
        event.stop()

    @on(_Choice.Changed)
    def _cycle(self, event: _Choice.Changed) -> None:
        event.stop()
        row = next(row for row in self.query(_Row) if row.editor is event.editor)
        self.post_message(self.Changed(self, row.field.key, event.editor.value))

    def _take(self, editor: Input) -> None:
        row = next((row for row in self.query(_Row) if row.editor is editor), None)
        if row is None or not isinstance(editor, _Typed) or editor.value == editor.taken:
            return
        editor.taken = editor.value
        self.post_message(self.Changed(self, row.field.key, editor.value))

    def _row(self, key: str) -> _Row:
        for row in self.query(_Row):
            if row.field.key == key:
                return row
        raise KeyError(key)

    def _align_labels(self) -> None:
        longest = max((cell_len(printable(field.label)) for field in self._fields), default=0)
        for label in self.query(".label"):
            label.styles.width = min(longest, _LONGEST_LABEL) + 1


def _shape(field: FormField) -> tuple[object, ...]:
    """The properties of a field that need a new row when they change."""
    return field.key, field.label, field.kind, field.section
