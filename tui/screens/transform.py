"""A form for one transform: what it does, and a typed field for each of its parameters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Static

from ..drawing import escape, name
from ..keys.bindings import bindings
from ..plain_text import printable_lines
from ..widgets.field import Field
from ..widgets.pipeline_list import Parameter, PipelineStep, StepKind, parse_value, shown_value
from ..working import Working
from .dialog import OverScreen

Check = Callable[[PipelineStep], Awaitable[str]]
"""Why a step can't be used, as a sentence; empty if it can."""


class TransformScreen(Working, OverScreen[PipelineStep | None]):
    """Asks for the arguments of a transform; a field left empty keeps the default. Returns None on Escape."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("transform")

    def __init__(self, kind: StepKind, check: Check, step: PipelineStep | None = None) -> None:
        """Create the form.

        Args:
            kind: what the transform does and takes.
            check: checks a typed step with the library; its sentence is shown and the form stays.
            step: transform to edit; None for a new one.
        """
        super().__init__()
        self._kind = kind
        self._check = check
        self._step = step
        known = {parameter.name for parameter in kind.parameters}
        # What a config file says more than the catalog knows is kept, and can be edited too.
        more = [Parameter(key) for key in (step.arguments if step else ()) if key not in known]
        self._parameters = [*kind.parameters, *more]

    def compose(self) -> ComposeResult:
        """Lay out the fields below the summary."""
        given = self._step.arguments if self._step else {}
        verb = "Add" if self._step is None else "Edit"
        with Vertical(classes="dialog -primary") as box:
            box.border_title = f"{verb} {name(self._kind.name)}"
            box.border_subtitle = "[b]⏎[/] applies   [b]Esc[/] cancels"
            notes = ". ".join(filter(None, [self._kind.summary, self._kind.tier]))
            yield Static(escape(printable_lines(notes)), id="summary")
            with VerticalScroll(can_focus=False):
                for parameter in self._parameters:
                    text = shown_value(given[parameter.name]) if parameter.name in given else ""
                    yield from self._field(parameter, text)
                if not self._parameters:
                    yield Static("[$text-disabled]it takes no arguments[/]")
            yield Static(id="mistake")
            with Horizontal(classes="buttons"):
                yield Button("Add" if self._step is None else "Apply", id="apply", variant="primary")
                yield Button("[b]Esc[/]  Cancel", id="cancel")

    def _field(self, parameter: Parameter, text: str) -> ComposeResult:
        needed = not parameter.default and any(each is parameter for each in self._kind.parameters)
        with Horizontal(classes="field"):
            yield Static(name(parameter.name), classes="label")
            yield Field(text, placeholder=parameter.default or "needed", select_on_focus=False)
            hint = f"{parameter.kind}{f', e.g. {parameter.example}' if needed and parameter.example else ''}"
            yield Static(name(hint), classes="hint")

    def on_mount(self) -> None:
        """Begin in the first field."""
        fields = list(self.query(Input))
        (fields[0] if fields else self.query_one("#apply", Button)).focus()

    def on_key(self, event: events.Key) -> None:
        """Clear the mistake when something else is typed."""
        if event.key != "enter":
            self._say("")

    @on(Input.Submitted)
    @on(Button.Pressed, "#apply")
    def _apply(self, message: Input.Submitted | Button.Pressed) -> None:
        message.stop()
        arguments: dict[str, Any] = {}
        for parameter, field in zip(self._parameters, self.query(Input), strict=True):
            text = field.value.strip()
            if not text and (parameter.default or parameter not in self._kind.parameters):
                continue
            try:
                arguments[parameter.name] = parse_value(parameter, text)
            except ValueError as error:
                self._say(str(error))
                field.focus()
                return
        self._take(PipelineStep(self._kind.name, arguments))

    @on(Button.Pressed, "#cancel")
    def _cancel(self, message: Button.Pressed) -> None:
        message.stop()
        self.dismiss(None)

    @work(exclusive=True)
    async def _take(self, step: PipelineStep) -> None:
        if mistake := await self._check(step):
            self._say(mistake)
        else:
            self.dismiss(step)

    def _say(self, mistake: str) -> None:
        line = self.query_one("#mistake", Static)
        line.display = bool(mistake)
        line.update(f"✗ {escape(printable_lines(mistake))}" if mistake else "")
