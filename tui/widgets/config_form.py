"""A form of one-line fields in sections. A field is selected by moving, and typed into only after Enter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.binding import BindingType
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input

from ..drawing import name, rule
from ..keys.bindings import bindings
from .field import Field
from .form_field import FormField, field_line, value_place
from .rows import Rows

_BOOL = ("false", "true")


@dataclass(frozen=True)
class FormSection:
    """A group of fields.

    Attributes:
        title: heading.
        note: text at the end of the heading's line; left out where it has no room.
        fields: its fields.
    """

    title: str
    note: str
    fields: tuple[FormField, ...]


class FieldEditor(Field):
    """Takes the place of a value while it is typed. Enter applies it, Escape restores the value, Tab goes on."""

    DEFAULT_CSS = "FieldEditor { position: absolute; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings("typing")

    def __init__(self, field: FormField) -> None:
        completer = SuggestFromList(field.choices, case_sensitive=False) if field.choices else None
        super().__init__(field.shown, suggester=completer)
        self.field = field
        self.is_done = False

    @property
    def form(self) -> ConfigForm:
        """The form that it lies in."""
        assert isinstance(self.parent, ConfigForm)
        return self.parent

    def action_finish(self, by: int) -> None:
        """Apply the text, and move to another field."""
        self.form.finish(self)
        if by:
            self.form.action_move(by)

    def action_restore(self) -> None:
        """Leave the value as it was."""
        self.form.finish(self, is_applied=False)

    def on_blur(self) -> None:
        """Apply the text, unless the user only looks at another window."""
        if self.app.app_focus:
            self.form.finish(self)


class ConfigForm(Rows):
    """Fields as rows, with a heading above each section.

    The form does not check values: the receiver of `Changed` answers with other fields.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("form")

    @dataclass
    class Changed(Message):
        """The user set a field to another text."""

        form: ConfigForm
        key: str
        value: str

        @property
        def control(self) -> ConfigForm:
            """The form that sent it."""
            return self.form

    @dataclass
    class ChoiceWanted(Message):
        """The user wants to see the choices of a field in a list."""

        form: ConfigForm
        field: FormField

        @property
        def control(self) -> ConfigForm:
            """The form that sent it."""
            return self.form

    def __init__(self, sections: Sequence[FormSection] = (), *, id: str | None = None, classes: str = "") -> None:
        super().__init__(id=id, classes=classes)
        self._sections: tuple[FormSection, ...] = ()
        # A heading or a field in each line.
        self._lines: list[FormSection | FormField] = []
        self._editor: FieldEditor | None = None
        self.set_sections(sections)

    # What is shown

    def set_sections(self, sections: Sequence[FormSection], *, position: str = "") -> None:
        """Show these fields; the cursor stays on its field if that is still there.

        Args:
            sections: fields in their order.
            position: markup for the frame's lower right.
        """
        here = self._place_of(self.cursor)
        self._sections = tuple(sections)
        self._lines = []
        for section in sections:
            self._lines += [section, *section.fields]
        headings = {at for at, line in enumerate(self._lines) if isinstance(line, FormSection)}
        cursor = self._line_of(*here) if here is not None else None
        self.set_rows(len(self._lines), self._drawn, headings=headings, cursor=cursor, position=position)
        self._lay_editor()

    @property
    def fields(self) -> list[FormField]:
        """Every field that is shown, without repetition."""
        return list({field.key: field for field in reversed(self._all())}.values())[::-1]

    @property
    def field(self) -> FormField | None:
        """The field under the cursor."""
        place = self._place_of(self.cursor)
        return place[1] if place is not None else None

    @property
    def section(self) -> str:
        """Title of the section that the cursor is in; empty without fields."""
        place = self._place_of(self.cursor)
        return place[0] if place is not None else ""

    def field_of(self, key: str) -> FormField:
        """The field with a key. Raises KeyError if there is none."""
        for field in self._all():
            if field.key == key:
                return field
        raise KeyError(key)

    def go_to(self, key: str) -> bool:
        """Move the cursor to a field; False if no field has this key."""
        for at, line in enumerate(self._lines):
            if isinstance(line, FormField) and line.key == key:
                self.cursor = at
                return True
        return False

    def go_to_section(self, title: str) -> None:
        """Move the cursor to the first field of a section, unless it is in that section."""
        if self.section == title:
            return
        for at, line in enumerate(self._lines):
            if isinstance(line, FormSection) and line.title == title and line.fields:
                self.cursor = at + 1
                return

    def _all(self) -> list[FormField]:
        return [line for line in self._lines if isinstance(line, FormField)]

    def _drawn(self, index: int, width: int) -> str:
        line = self._lines[index]
        if isinstance(line, FormField):
            return field_line(line, width, is_here=index == self.cursor and self.has_focus)
        note = f" {line.note}" if line.note and len(line.title) + len(line.note) + 6 < width else ""
        heading = rule(line.title, width - len(note)).replace("$text-disabled", "b $text", 1)
        return f"{heading}[$text-disabled]{name(note, len(note))}[/]"

    def _place_of(self, index: int) -> tuple[str, FormField] | None:
        """Title of its section, and the field in a line; None for a heading."""
        if not 0 <= index < len(self._lines):
            return None
        line = self._lines[index]
        titles = [each.title for each in self._lines[:index] if isinstance(each, FormSection)]
        return (titles[-1], line) if isinstance(line, FormField) else None

    def _line_of(self, title: str, field: FormField) -> int | None:
        """Where a field is now: in the same section, or else anywhere."""
        section, anywhere = "", None
        for at, line in enumerate(self._lines):
            if isinstance(line, FormSection):
                section = line.title
            elif line.key == field.key:
                if section == title:
                    return at
                anywhere = at if anywhere is None else anywhere
        return anywhere

    # Changing a value

    @property
    def editor(self) -> FieldEditor | None:
        """What is typed into; None while nothing is."""
        return self._editor

    @property
    def unapplied(self) -> tuple[FormField, str] | None:
        """The field that is typed into and its text, if that differs from the value; else None."""
        editor = self._editor
        if editor is None or editor.value == editor.field.shown:
            return None
        return editor.field, editor.value

    def action_edit(self) -> None:
        """Type into the field; switch it if it is on or off; list its choices."""
        field = self.field
        if field is None:
            return
        if field.kind == "bool":
            self.action_change(1)
        elif field.kind == "choice" or field.is_listed:
            self.post_message(self.ChoiceWanted(self, field))
        else:
            self.type_into(field)

    def action_change(self, by: int) -> None:
        """Take the next or previous choice."""
        field = self.field
        choices = (_BOOL if field.kind == "bool" else field.choices) if field is not None else ()
        if field is None or not choices:
            self.app.notify("Enter types a value", title=field.label if field else "No field here")
            return
        at = choices.index(field.shown) + by if field.shown in choices else 0
        self._say(field, choices[at % len(choices)])

    def offers(self, action: str) -> bool:
        """Offer other choices only where there are some."""
        if action.startswith("change"):
            return self.field is not None and bool(self.field.choices or self.field.kind == "bool")
        return self.field is not None

    def type_into(self, field: FormField) -> None:
        """Open an editor over the value of the field under the cursor."""
        if self._editor is None:
            self._editor = FieldEditor(field)
            self._lay_editor()
            self.mount(self._editor)
        # At once: the next key is meant for it, however slow the machine.
        self.screen.set_focus(self._editor)

    def _lay_editor(self) -> None:
        if self._editor is None:
            return
        begin, _ = value_place(self.size.width)
        self._editor.styles.offset = (begin, self.cursor - self.first_shown)
        self._editor.styles.width = max(8, self.size.width - begin)

    def finish(self, editor: FieldEditor, *, is_applied: bool = True) -> None:
        """Close the editor, with its text or without."""
        if editor.is_done:
            return
        editor.is_done = True
        self._editor = None
        had_focus = editor.has_focus
        text = editor.value.strip()
        editor.remove()
        if had_focus:
            self.screen.set_focus(self)
        if is_applied and text != editor.field.shown:
            self._say(editor.field, text)

    def _say(self, field: FormField, text: str) -> None:
        self.post_message(self.Changed(self, field.key, text))

    def on_resize(self, event: events.Resize) -> None:
        """Keep what is typed over its value."""
        self.call_after_refresh(self._lay_editor)

    @on(Input.Changed)
    @on(Input.Submitted)
    @on(Input.Blurred)
    def _keep_to_itself(self, event: Message) -> None:
        event.stop()
