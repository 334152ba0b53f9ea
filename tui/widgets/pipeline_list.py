"""Ordered lists of named steps with arguments, such as the transforms of a data set."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from textual import events
from textual.binding import BindingType
from textual.message import Message

from ..drawing import cells, ends, fits, name, prose
from ..keys.bindings import bindings
from .rows import Rows

_WIDE = 44


@dataclass(frozen=True)
class PipelineStep:
    """A step: its name and its keyword arguments (numbers, strings, booleans and lists of these)."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @property
    def shown_arguments(self) -> str:
        """The arguments in short: `size 32, padding 4`."""
        return ", ".join(f"{key} {shown_value(value)}" for key, value in self.arguments.items())


@dataclass(frozen=True)
class Parameter:
    """A parameter of a kind of step.

    Attributes:
        name: name of the argument.
        kind: what it takes, in words.
        default: value that applies without it; empty if a value is needed.
        example: value to try.
    """

    name: str
    kind: str = ""
    default: str = ""
    example: str = ""


@dataclass(frozen=True)
class StepKind:
    """A step that can be added.

    Attributes:
        name: name of the step.
        summary: effect of the step, in a sentence.
        parameters: its parameters, those that need a value first.
        tier: how the step runs, in a few words.
    """

    name: str
    summary: str = ""
    parameters: tuple[Parameter, ...] = ()
    tier: str = ""


@dataclass(frozen=True)
class StepNote:
    """What is known of a step.

    Attributes:
        tier: how it runs, in a few words; empty if unknown.
        is_batched: whether it is applied to whole batches.
        error: why it can't be used; empty if it can.
        microseconds: time per sample; None if unknown.
    """

    tier: str = ""
    is_batched: bool = False
    error: str = ""
    microseconds: float | None = None


def parse_value(parameter: Parameter, text: str) -> Any:
    """Read a value: a number, true, false, a list of these, or else a word. Nothing is executed.

    Raises:
        ValueError: the text is no such value; the message is a sentence for the user.
    """
    text = text.strip()
    example = f", e.g. {parameter.name}={parameter.example}" if parameter.example else ""
    if not text:
        raise ValueError(f"{parameter.name} needs a value{example}")
    if text in ("true", "false"):
        return text == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        if text.replace("_", "").replace("-", "").isalnum() and not text[0].isdigit():
            return text
        raise ValueError(
            f"{parameter.name} must be a number, a word, true, false, or a list of these{example}"
        ) from None
    return list(value) if isinstance(value, tuple) else value


def shown_value(value: Any) -> str:
    """A value as `parse_value` reads it; a word has no quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) and _is_word(value) else repr(value)


def _is_word(text: str) -> bool:
    """Whether a text without quotes is read as itself."""
    try:
        return bool(parse_value(Parameter(""), text) == text)
    except ValueError:
        return False


@dataclass
class _Section:
    title: str
    hint: str
    steps: list[PipelineStep] = field(default_factory=list)
    notes: list[StepNote] = field(default_factory=list)


@dataclass(frozen=True)
class _Row:
    section: str
    index: int | None = None
    error: str = ""


class PipelineList(Rows):
    """The steps of several pipelines in the order in which they are applied.

    A change posts `Changed` with all steps of its pipeline; the receiver answers with `set_steps`, with errors if
    there are any. To add or edit a step it posts `KindWanted` or `EditWanted`; the receiver lets the user choose and
    calls `insert` or `replace`.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("transforms")

    @dataclass
    class Changed(Message):
        """The user changed a pipeline."""

        pipelines: PipelineList
        section: str
        steps: list[PipelineStep]

    @dataclass
    class KindWanted(Message):
        """The user wants to add a step to a pipeline and has to choose its kind."""

        pipelines: PipelineList
        section: str

    @dataclass
    class EditWanted(Message):
        """The user wants to edit a step."""

        pipelines: PipelineList
        section: str
        index: int

    def __init__(
        self,
        title: str,
        sections: Mapping[str, tuple[str, str]],
        *,
        count_words: Callable[[int], str],
        empty: str,
        id: str | None = None,
    ) -> None:
        """Create pipelines without steps.

        Args:
            title: title of the panel.
            sections: title and hint of each pipeline, by its name.
            count_words: a number of steps in words.
            empty: text in place of the steps of an empty pipeline.
            id: id of the widget.
        """
        super().__init__(title, id=id)
        self._sections = {key: _Section(*words) for key, words in sections.items()}
        self._count_words = count_words
        self._empty_words = empty
        self._listed: list[_Row] = []
        self._total = ""

    def on_mount(self) -> None:
        """List the empty pipelines."""
        self._list()

    def on_resize(self, event: events.Resize) -> None:
        """Break errors anew."""
        self._list()

    def steps(self, section: str) -> list[PipelineStep]:
        """The current steps of a pipeline."""
        return list(self._sections[section].steps)

    def set_steps(self, section: str, steps: Sequence[PipelineStep], notes: Sequence[StepNote] = ()) -> None:
        """Show these steps of a pipeline, with what is known of each; empty notes leave those of equal steps."""
        shown = self._sections[section]
        if not notes and list(steps) == shown.steps:
            return
        shown.steps, shown.notes = list(steps), list(notes)
        self._list()

    def set_total(self, words: str) -> None:
        """Show in the frame what all steps cost together, as plain text."""
        self._total = words
        self._list()

    @property
    def place(self) -> tuple[str, int | None]:
        """The pipeline under the cursor, and the index of the step; None on an empty pipeline."""
        if not self._listed:
            return next(iter(self._sections)), None
        row = self._listed[min(self.cursor, len(self._listed) - 1)]
        return row.section, row.index

    def go_to(self, section: str, index: int | None) -> None:
        """Put the cursor on a step."""
        found = [at for at, row in enumerate(self._listed) if (row.section, row.index) == (section, index)]
        self.cursor = next((at for at in found if at not in self._headings), self.cursor)

    def insert(self, section: str, step: PipelineStep) -> None:
        """Add a step below the cursor."""
        at = self.place[1] if self.place[0] == section else None
        steps = self.steps(section)
        below = len(steps) if at is None else at + 1
        self._change(section, [*steps[:below], step, *steps[below:]], below)

    def replace(self, section: str, index: int, step: PipelineStep) -> None:
        """Change a step."""
        steps = self.steps(section)
        self._change(section, [*steps[:index], step, *steps[index + 1 :]], index)

    def action_add(self) -> None:
        """Let the user choose a new step, inserted below the cursor."""
        self.post_message(self.KindWanted(self, self.place[0]))

    def action_edit(self) -> None:
        """Let the user edit the step under the cursor."""
        section, index = self.place
        if index is None:
            self.action_add()
        else:
            self.post_message(self.EditWanted(self, section, index))

    def action_delete(self) -> None:
        """Delete the step under the cursor; `u` brings it back."""
        section, index = self.place
        if index is None:
            self.app.notify("this pipeline has no transforms to delete")
            return
        steps = self.steps(section)
        self._change(section, [*steps[:index], *steps[index + 1 :]], min(index, len(steps) - 2))

    def action_shift(self, by: int) -> None:
        """Apply the step under the cursor earlier or later."""
        section, index = self.place
        steps = self.steps(section)
        if index is None or not 0 <= index + by < len(steps):
            self.app.notify("it can't be moved further")
            return
        steps.insert(index + by, steps.pop(index))
        self._change(section, steps, index + by)

    def _change(self, section: str, steps: list[PipelineStep], index: int) -> None:
        shown = self._sections[section]
        if steps == shown.steps:
            return
        # Notes belong to the old positions; the receiver of the message sets new ones.
        shown.steps, shown.notes = steps, []
        self._list()
        self.go_to(section, index if steps else None)
        self.post_message(self.Changed(self, section, list(steps)))

    def _say_position(self) -> None:
        """Say in the frame how the step under the cursor runs, or what all of them cost."""
        section, index = self.place
        notes = self._sections[section].notes
        note = notes[index] if index is not None and index < len(notes) else StepNote()
        self._position = name(
            note.tier if note.tier and not note.is_batched else self._total, max(0, self.size.width - 2)
        )
        super()._say_position()

    def _list(self) -> None:
        rows: list[_Row] = []
        headings = set()
        for key, section in self._sections.items():
            headings.add(len(rows))
            rows.append(_Row(key))
            for index in range(len(section.steps)):
                rows.append(_Row(key, index))
                error = section.notes[index].error if index < len(section.notes) else ""
                for line in prose(error, self.size.width - 5) if error and self.size.width else ():
                    headings.add(len(rows))
                    rows.append(_Row(key, index, line))
            if not section.steps:
                rows.append(_Row(key))
        self._listed = rows
        self.set_rows(len(rows), self._line, headings=headings)

    def _line(self, number: int, width: int) -> str:
        row = self._listed[number]
        section = self._sections[row.section]
        if row.error:
            return (
                f"   [$text-error]✗ {row.error}[/]" if self._is_first(number) else f"     [$text-error]{row.error}[/]"
            )
        if number in self._headings:
            heading = f"[b]{section.title}[/] [$text-disabled]{self._count_words(len(section.steps))}[/]"
            return fits(heading, f"[$text-disabled] · {section.hint}[/]" if section.hint else "", width)
        if row.index is None:
            return f"   [$text-disabled]{name(self._empty_words, max(0, width - 3))}[/]"
        return self._step_line(section, row.index, width)

    def _is_first(self, number: int) -> bool:
        return not self._listed[number - 1].error

    def _step_line(self, section: _Section, index: int, width: int) -> str:
        step = section.steps[index]
        note = section.notes[index] if index < len(section.notes) else StepNote()
        tail = _tail(note, width)
        room = max(1, width - 3 - cells(tail) - (1 if tail else 0))
        shown = name(step.name, room)
        left = room - cells(shown) - 1
        arguments = f" [$text-muted]{name(step.shown_arguments, left)}[/]" if step.arguments and left > 3 else ""
        return ends(f"[$text-disabled]{index + 1:<2}[/] {shown}{arguments}", tail, width)


def _tail(note: StepNote, width: int) -> str:
    """How a step runs and what it costs, for the right end of its line."""
    if note.error:
        return "[$error]✗[/]"
    if not note.tier:
        return ""
    cost = ""
    if note.microseconds is not None and width > _WIDE:
        cost = f"[$text-muted]{note.microseconds:,.1f} µs[/] "
    if note.is_batched:
        return f"{cost}[$series-3]{'batched' if width > _WIDE else '≡'}[/]"
    return f"{cost}[$warning]{'per sample' if width > _WIDE else '▲'}[/]"
