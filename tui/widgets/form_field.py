"""A field of a form, and the line that shows it: mark, name, value in a well, note."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len

from ..drawing import left, name

FieldKind = Literal["text", "int", "float", "bool", "choice", "list"]

NAME_CELLS = 20
_MARK_CELLS = 2
_VALUE_CELLS = 24
_LEAST_NOTE = 20
_CHANGE_HERE = {"choice": "◂ ▸", "bool": "◂ ▸", "list": " … "}


@dataclass(frozen=True)
class FormField:
    """One field.

    Attributes:
        key: name in messages, such as `optimizer.lr`; a form may show a field twice.
        label: text before the value.
        kind: "bool" and "choice" are changed with keys, the others are typed.
        value: value as text; a bool is "true" or "false". Empty if nothing is set.
        choices: values of a "choice"; for typed kinds, completions.
        help: what it is for.
        error: error in the value.
        off: why the value has no effect at present; the field is dimmed.
        section: title of the field's group; the fields of a section are adjacent.
        typed: a text that was rejected, shown in place of the value; None if there is none.
        origin: value that the user began with; None if it had none.
        default: value where none is set; None if unknown.
        allowed: allowed values in words; may be empty.
        is_set: whether the value is written in the config, rather than the default of what the config names.
        is_listed: whether its values are chosen from a list of what is there, rather than typed.
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
    typed: str | None = None
    origin: str | None = None
    default: str | None = None
    allowed: str = ""
    is_set: bool = True
    is_listed: bool = False

    @property
    def shown(self) -> str:
        """The text in the well: what was typed and rejected, or else the value."""
        return self.value if self.typed is None else self.typed

    @property
    def is_changed(self) -> bool:
        """Whether the value differs from the one that the user began with."""
        return self.value != self.origin if self.is_set else self.origin is not None


def value_place(width: int) -> tuple[int, int]:
    """Where the well lies in a line of `width` cells: its first cell, and its width."""
    begin = _MARK_CELLS + NAME_CELLS
    note = width - begin - _VALUE_CELLS - 2
    # Half a note says nothing: the help of the field says all of it.
    return begin, _VALUE_CELLS if note >= _LEAST_NOTE else max(8, width - begin)


def field_line(field: FormField, width: int, *, is_here: bool) -> str:
    """A field as one line of markup.

    Args:
        field: the field.
        width: width of the line in cells.
        is_here: whether the focused cursor is on it.
    """
    begin, well = value_place(width)
    tone = "$text-disabled" if field.off else "$text"
    mark = "[$error]▲[/]" if field.error else "[$primary]●[/]" if field.is_changed else " "
    ground = "$primary 32%" if is_here else "$well"
    label = left(field.label, NAME_CELLS - 1)
    line = f"{mark} [{tone}]{label}[/] [on {ground}]{_inside(field, well, is_here=is_here)}[/]"
    room = width - begin - well - 2
    note = field.error or clauses(field.off or field.help, room)
    if room < _LEAST_NOTE or not note:
        return line
    tone = "$error" if field.error else "$text-muted" if is_here else "$text-disabled"
    return f"{line}  [{tone}]{name(note, room)}[/]"


def clauses(text: str, width: int) -> str:
    """As many of the first clauses of a sentence as fit into `width` cells; empty if not even one does."""
    while cell_len(text) > width:
        ends = [text.rfind(mark) for mark in ("; ", ": ", ", ")]
        text = text[: max(ends)] if ends[0] < 0 else text[: ends[0]]
        if max(ends) < 0:
            return ""
    return text


def _inside(field: FormField, well: int, *, is_here: bool) -> str:
    hint = _hint(field, is_here=is_here)
    tone = _tone(field)
    if field.kind == "bool":
        is_on = field.shown == "true"
        switch = "[$success]━━●[/]" if is_on and not field.off else "━━●" if is_on else "●━━"
        word = "on" if is_on else "off"
        return f" [{tone}]{switch} {word}[/]{' ' * max(0, well - 9 - len(word))}[$text-muted]{hint}[/] "
    text = field.shown if field.shown or field.is_set else "not set"
    return f" [{tone}]{left(text, well - 5)}[/][$text-muted]{hint}[/] "


def _hint(field: FormField, *, is_here: bool) -> str:
    if field.kind in _CHANGE_HERE:
        resting = {"choice": "  ▾", "list": "  …"}.get(field.kind, "   ")
        return _CHANGE_HERE[field.kind] if is_here else resting
    if field.choices:
        return "◂ ▸" if is_here else "  ▾"
    return " ⏎ " if is_here else "   "


def _tone(field: FormField) -> str:
    if field.error:
        return "b $error"
    if field.off or not field.is_set:
        return "$text-disabled"
    return "b $text" if field.is_changed else "$text-muted"
