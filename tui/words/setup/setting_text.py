"""A setting as text: help, value, preset value, default, allowed values, shell form, what earlier runs used."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...draft_form import toml_text
from ...draft_sections import PRESET
from ...drawing import cells, escape, fits, left, marked, name, pair, prose, right
from ...widgets.form_field import FormField
from ..metric_text import metric_text

if TYPE_CHECKING:
    from torchdeck.engine.runs.browsing.used_values import UsedValue

_LABEL = 8
_MOST_USED = 5
_MOST_LISTED = 4  # lines of names
_SHORT = 6


@dataclass(frozen=True)
class Suggestion:
    """A value that may be written into the draft.

    Attributes:
        text: the value.
        source: where it comes from, such as "lr-find".
    """

    text: str
    source: str


def shell_form(field: FormField) -> str:
    """The option that sets a field to its value on the command line."""
    return f"--set {shlex.quote(f'{field.key}={field.value}')}"


def field_lines(
    field: FormField, used: Sequence[UsedValue], suggestion: Suggestion | None, width: int, height: int
) -> list[str]:
    """All there is to say about a field, as lines of markup; the most telling first, since there may be few lines.

    Args:
        field: the field.
        used: what earlier runs used for it, best first.
        suggestion: a value that may be taken; None if there is none.
        width: cells.
        height: lines that have room.
    """
    parent, dot, label = field.key.rpartition(".")
    title = f"[$text-muted]{name(parent + dot)}[/][b $text-primary]{name(label)}[/]"
    wrong = marked("[$error]▲[/]", field.error, width)
    off = marked("[$warning]▲[/]", f"no effect: {field.off}", width) if field.off else []
    help_lines = prose(field.help, width) if field.help else []
    suggested = _suggested(suggestion, width)
    if height < _SHORT:
        head = fits(title, f"   {_value(field, width // 2)}  [$text-disabled]{escape(_origin(field))}[/]", width)
        return [head, *wrong, *suggested, *off, *help_lines][:height]
    lines = [title, *help_lines, *wrong, *off, ""]
    lines.append(pair("value", _value(field, width - _LABEL - 1), _LABEL, note=_origin(field), room=width))
    if field.default is not None:
        shown = name(field.default, max(8, width - _LABEL - 1)) or "[$text-disabled]empty[/]"
        lines.append(pair("default", shown, _LABEL, note=field.allowed, room=width))
    if field.choices:
        listed = _listed(field.choices, width - _LABEL - 1)
        if len(listed) > _MOST_LISTED:
            listed = [*listed[: _MOST_LISTED - 1], f"{listed[_MOST_LISTED - 1]} …"]
        lines += [pair("one of" if at == 0 else "", line, _LABEL) for at, line in enumerate(listed)]
    if field.is_set and field.key != PRESET:
        lines.append(pair("shell", name(shell_form(field), max(8, width - _LABEL - 1)), _LABEL))
    lines += used_lines(used, width)
    return [*lines, *([""] if suggested else []), *suggested][:height] if height else lines


def _listed(names: Sequence[str], width: int) -> list[str]:
    """Names in lines of at most `width` cells, none of them broken at a hyphen."""
    lines = [""]
    for at, each in enumerate(names):
        word = name(each, width - 1) + ("," if at + 1 < len(names) else "")
        joined = f"{lines[-1]} {word}".strip()
        if cells(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def used_lines(used: Sequence[UsedValue], width: int) -> list[str]:
    """What earlier runs used and the best result with it, as many as fit into a line or two."""
    words = [
        f"{name(_plain(each.value), 12)} [$text-muted]{metric_text(each.metric, each.best)}[/]"
        + (f"[$text-disabled] ×{each.runs}[/]" if each.runs > 1 else "")
        for each in used[:_MOST_USED]
    ]
    lines: list[str] = []
    for word in words:
        joined = f"{lines[-1]}   {word}" if lines else pair("runs", word, _LABEL)
        if lines and cells(joined) > width:
            joined = pair("", word, _LABEL)
            lines.append(joined)
        elif lines:
            lines[-1] = joined
        else:
            lines.append(joined)
    return lines[:2]


def best_used(field: FormField, used: Sequence[UsedValue]) -> Suggestion | None:
    """The value with the best result, if it is another one than the draft has and there is something to compare."""
    if len(used) < 2 or used[0].value is None:
        return None
    text = toml_text(used[0].value)
    return None if text == field.value else Suggestion(text, f"best of {sum(each.runs for each in used)} runs:")


def difference_lines(fields: Sequence[FormField], width: int) -> list[str]:
    """The fields that differ from the preset, with both values."""
    lines = []
    half = max(8, (width - 28) // 2)
    for field in fields:
        if not field.is_changed:
            continue
        before = "not set" if field.origin is None else field.origin
        after = field.value if field.is_set else "not set"
        key = f"[$text-muted]{left(field.key, 25)}[/]"
        lines.append(f"{key}[$text-disabled]{right(before, half)} →[/] [b]{name(after, half)}[/]")
    return lines


def _suggested(suggestion: Suggestion | None, width: int) -> list[str]:
    if suggestion is None:
        return []
    head = f"[$series-3]◆[/] [$text-muted]{name(suggestion.source)}[/] [b]{name(suggestion.text, 20)}[/]"
    return [fits(head, "   [b $key]w[/] [$text-muted]takes it[/]", width)]


def _value(field: FormField, room: int) -> str:
    if not field.is_set:
        return "[$text-disabled]not set[/]"
    return f"[b]{name(field.value, max(8, room))}[/]" if field.value else "[$text-disabled]empty[/]"


def _origin(field: FormField) -> str:
    if not field.is_changed:
        return "as the preset has it" if field.is_set and field.origin is not None else ""
    return f"preset {field.origin or 'empty'}" if field.origin is not None else "not in the preset"


def _plain(value: object) -> str:
    return "not set" if value is None else toml_text(value)
