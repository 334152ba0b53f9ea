"""An ordered list of named steps with arguments, such as the transforms of a data set."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widget import Widget
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ..plain_text import printable, printable_lines


@dataclass(frozen=True)
class PipelineStep:
    """A step: its name and its keyword arguments (numbers, strings, booleans and lists of these)."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """The step as text to edit: `RandomCrop(size=32, padding=4)`."""
        if not self.arguments:
            return self.name
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


@dataclass(frozen=True)
class StepKind:
    """A step that can be added.

    Attributes:
        name: name of the step.
        summary: effect of the step, in a sentence.
        parameters: (name, type, default) of each parameter; the default is empty if a value is required.
        tier: how the step runs, in a few words.
    """

    name: str
    summary: str = ""
    parameters: tuple[tuple[str, str, str], ...] = ()
    tier: str = ""

    @property
    def template(self) -> str:
        """The text to start editing from: the required arguments, without values."""
        required = [f"{name}=" for name, _, default in self.parameters if not default]
        return f"{self.name}({', '.join(required)})" if required else self.name

    @property
    def signature(self) -> str:
        """Every parameter with its type and default."""
        return ", ".join(
            f"{name}: {kind or 'any'}" + (f" = {default}" if default else " (required)")
            for name, kind, default in self.parameters
        )


def parse_step(text: str) -> PipelineStep:
    """Read `RandomCrop(size=32, padding=4)` or `RandomHorizontalFlip`; nothing is executed.

    Raises:
        ValueError: the text is not a step, or an argument is not a plain value; the message says which.
    """
    try:
        expression = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, MemoryError, RecursionError):
        if valueless := re.search(r"(\w+)\s*=\s*[,)]", text):
            raise ValueError(f"{valueless[1]} needs a value, e.g. {valueless[1]}=15") from None
        raise ValueError(f"{text.strip()!r} is not a step; write Name or Name(argument=value, …)") from None
    arguments: dict[str, Any] = {}
    if isinstance(expression, ast.Call):
        if expression.args:
            raise ValueError("arguments need names: Name(argument=value, …)")
        for keyword in expression.keywords:
            if keyword.arg is None:
                raise ValueError("arguments need names: Name(argument=value, …)")
            arguments[keyword.arg] = _plain_value(keyword.arg, keyword.value)
        expression = expression.func
    if not isinstance(expression, ast.Name):
        raise ValueError(f"{text.strip()!r} is not a step; write Name or Name(argument=value, …)")
    return PipelineStep(expression.id, arguments)


def _plain_value(name: str, node: ast.expr) -> Any:
    # TOML writes true and false.
    if isinstance(node, ast.Name) and node.id in ("true", "false"):
        return node.id == "true"
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise ValueError(f"{name} must be a number, a string, true, false, or a list of these") from None
    return list(value) if isinstance(value, tuple) else value


class PipelineList(Widget):
    """Steps in the order in which they are applied.

    Keys: `a` adds below the cursor, Enter edits, `d` removes, `K` and `J` move up and down. Every change posts
    `Changed` with all steps; its receiver answers with `set_steps`, and with errors if there are any.

    If the kinds of steps are known, `a` posts `KindWanted`; its receiver lets the user choose and calls `take_kind`.
    """

    DEFAULT_CSS = """
    PipelineList { height: auto; layout: vertical; }
    PipelineList > OptionList { height: auto; max-height: 12; border: none; padding: 0; background: transparent; }
    PipelineList > OptionList:focus { border: none; }
    PipelineList > Input { display: none; }
    PipelineList.-editing > Input { display: block; }
    PipelineList > #mistake { display: none; color: $text-error; height: auto; }
    PipelineList.-mistake > #mistake { display: block; }
    PipelineList > #signature { display: none; color: $text-muted; height: auto; max-height: 6; }
    PipelineList.-editing > #signature { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "add", id="pipeline.add"),
        Binding("d,delete", "remove", "remove", id="pipeline.remove"),
        Binding("K,shift+up", "move(-1)", "move up", show=False, id="pipeline.up"),
        Binding("J,shift+down", "move(1)", "move down", show=False, id="pipeline.down"),
        Binding("escape", "cancel", "cancel", show=False, id="pipeline.cancel"),
    ]

    class Changed(Message):
        """The user changed the list."""

        def __init__(self, pipeline: PipelineList, steps: list[PipelineStep]) -> None:
            super().__init__()
            self.pipeline = pipeline
            self.steps = steps

        @property
        def control(self) -> PipelineList:
            """The list that sent it."""
            return self.pipeline

    class KindWanted(Message):
        """The user wants to add a step and has to choose its kind."""

        def __init__(self, pipeline: PipelineList) -> None:
            super().__init__()
            self.pipeline = pipeline

        @property
        def control(self) -> PipelineList:
            """The list that sent it."""
            return self.pipeline

    def __init__(
        self,
        *,
        names: Sequence[str] = (),
        empty: str = "no steps; press a to add one",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Create a list without steps.

        Args:
            names: completions while typing.
            empty: text shown while there is no step.
            id: id of the widget.
            classes: CSS classes of the widget.
        """
        super().__init__(id=id, classes=classes)
        self._names = tuple(names)
        self._empty = empty
        self._steps: list[PipelineStep] = []
        self._notes: dict[int, str] = {}
        self._errors: dict[int, str] = {}
        self._kinds: dict[str, StepKind] = {}
        self._edited = -1
        self._is_new = False

    def compose(self) -> ComposeResult:
        """Lay out the list, the field to edit a step, and the error of the typed text."""
        yield OptionList(Option(Text(self._empty, "dim"), disabled=True), compact=True, markup=False)
        editor = Input(
            placeholder="Name(argument=value, …)",
            compact=True,
            select_on_focus=False,
            suggester=SuggestFromList(self._names, case_sensitive=False) if self._names else None,
        )
        editor.cursor_blink = False
        yield editor
        yield Static(id="mistake", markup=False)
        yield Static(id="signature", markup=False)

    @property
    def steps(self) -> list[PipelineStep]:
        """The current steps."""
        return list(self._steps)

    @property
    def unsettled(self) -> str:
        """The text of a step that is being edited and not applied; empty if none is."""
        editor = self.query_one(Input)
        if not self.has_class("-editing"):
            return ""
        before = "" if self._is_new else str(self._steps[self._edited])
        return editor.value if editor.value != before else ""

    def go_to_editor(self) -> None:
        """Put the cursor on the step that is being edited."""
        self.query_one(Input).focus()

    def set_kinds(self, kinds: Sequence[StepKind]) -> None:
        """Set the kinds of steps, to complete their names and show their parameters while the user types."""
        self._kinds = {kind.name: kind for kind in kinds}
        self._names = tuple(self._kinds)
        self.query_one(Input).suggester = SuggestFromList(self._names, case_sensitive=False)

    def set_steps(
        self,
        steps: Sequence[PipelineStep],
        *,
        notes: Mapping[int, str] | None = None,
        errors: Mapping[int, str] | None = None,
    ) -> None:
        """Show these steps, with notes and errors by position."""
        state = (list(steps), dict(notes or {}), dict(errors or {}))
        if state != (self._steps, self._notes, self._errors):
            self._steps, self._notes, self._errors = state
            self._show(self.query_one(OptionList).highlighted)

    def action_add(self) -> None:
        """Let the user choose or type a new step, inserted below the cursor."""
        if self._kinds:
            self.post_message(self.KindWanted(self))
        else:
            self.begin("")

    def begin(self, text: str) -> None:
        """Let the user type a new step below the cursor, starting from `text`."""
        at = self.query_one(OptionList).highlighted
        self._edit(len(self._steps) if at is None or not self._steps else at + 1, is_new=True)
        editor = self.query_one(Input)
        editor.value = text
        # The first value to type is behind the first "=".
        editor.cursor_position = text.find("=") + 1 or len(text)

    def take_kind(self, name: str) -> None:
        """Add a step of this kind at once, or let the user type its required arguments."""
        kind = self._kinds[name]
        if kind.template != kind.name:
            self.begin(kind.template)
            return
        at = self.query_one(OptionList).highlighted
        below = len(self._steps) if at is None or not self._steps else at + 1
        self._change([*self._steps[:below], PipelineStep(name), *self._steps[below:]], below)
        self.query_one(OptionList).focus()

    def action_remove(self) -> None:
        """Remove the step under the cursor."""
        at = self.query_one(OptionList).highlighted
        if at is not None and self._steps:
            self._change([*self._steps[:at], *self._steps[at + 1 :]], at)

    def action_move(self, by: int) -> None:
        """Move the step under the cursor."""
        at = self.query_one(OptionList).highlighted
        if at is None or not 0 <= at + by < len(self._steps):
            return
        steps = list(self._steps)
        steps.insert(at + by, steps.pop(at))
        self._change(steps, at + by)

    def action_cancel(self) -> None:
        """Close the field without a change."""
        self.remove_class("-editing", "-mistake")
        self.query_one(OptionList).focus()

    @on(OptionList.OptionSelected)
    def _edit_selected(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._edit(event.option_index, is_new=False)

    @on(OptionList.OptionHighlighted)
    def _keep_highlight(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()

    @on(Input.Changed)
    def _show_signature(self, event: Input.Changed) -> None:
        event.stop()
        kind = self._kinds.get(event.value.partition("(")[0].strip())
        lines = [kind.signature or "it takes no arguments", kind.summary] if kind is not None else []
        self.query_one("#signature", Static).update(printable_lines("\n".join(filter(None, lines))))

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            step = parse_step(event.value)
        except ValueError as error:
            self.query_one("#mistake", Static).update(printable(str(error)))
            self.add_class("-mistake")
            return
        steps = list(self._steps)
        if self._is_new:
            steps.insert(self._edited, step)
        else:
            steps[self._edited] = step
        self.action_cancel()
        self._change(steps, self._edited)

    def _edit(self, at: int, *, is_new: bool) -> None:
        self._edited, self._is_new = at, is_new
        editor = self.query_one(Input)
        editor.value = "" if is_new else str(self._steps[at])
        editor.cursor_position = len(editor.value)
        self.remove_class("-mistake")
        self.add_class("-editing")
        editor.focus()

    def _change(self, steps: list[PipelineStep], highlighted: int) -> None:
        if steps == self._steps:
            return
        # Notes and errors belong to the old positions; the receiver of the message sets new ones.
        self._steps, self._notes, self._errors = steps, {}, {}
        self._show(highlighted)
        self.post_message(self.Changed(self, list(steps)))

    def _show(self, highlighted: int | None) -> None:
        options = self.query_one(OptionList)
        options.clear_options()
        if not self._steps:
            options.add_option(Option(Text(self._empty, "dim"), disabled=True))
            return
        options.add_options([Option(self._line(index, step)) for index, step in enumerate(self._steps)])
        options.highlighted = min(highlighted or 0, len(self._steps) - 1)

    def _line(self, index: int, step: PipelineStep) -> Text:
        line = Text(f"{index + 1:2d} ", "dim", no_wrap=True, overflow="ellipsis")
        line.append(printable(step.name), "bold")
        arguments = ", ".join(f"{name}={value!r}" for name, value in step.arguments.items())
        if arguments:
            line.append(f"  {printable(arguments)}")
        if note := self._notes.get(index):
            line.append(f"  {printable(note)}", "dim italic")
        if error := self._errors.get(index):
            line.append(f"\n   {printable(error)}", "red")
        return line
