"""Two small dialogs: yes or no, and a line of text."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from ..plain_text import printable, printable_lines
from .overlay import OverScreen

_BOX = """
    {name} {{ align: center middle; }}
    {name} > Vertical {{
        width: 72; max-width: 100%; height: auto; max-height: 100%; padding: 1 2;
        border: round $primary; background: $surface;
    }}
    {name} Static {{ height: auto; }}
    {name} .error {{ color: $text-error; }}
"""


class ConfirmScreen(OverScreen[bool]):
    """Asks for confirmation of something that can't be undone."""

    DEFAULT_CSS = _BOX.format(name="ConfirmScreen")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("escape,n,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str, what_happens: str) -> None:
        """Create the dialog.

        Args:
            question: one line.
            what_happens: consequences of yes, in lines.
        """
        super().__init__()
        self._question = question
        self._what_happens = what_happens

    def compose(self) -> ComposeResult:
        """Lay out the question and its keys."""
        with Vertical():
            yield Static(Text(f"{printable(self._question)}\n", style="bold"))
            yield Static(Text(f"{printable_lines(self._what_happens)}\n"))
            yield Static(Text("y    yes\nEsc  no"))

    def action_answer(self, answer: bool) -> None:
        """Close with an answer."""
        self.dismiss(answer)


class PromptScreen(OverScreen[str | None]):
    """Asks for a line of text; returns None if the user cancels."""

    DEFAULT_CSS = _BOX.format(name="PromptScreen")
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Back")]

    def __init__(self, title: str, explanation: str, value: str = "", *, error: str = "") -> None:
        """Create the dialog.

        Args:
            title: question on one line.
            explanation: description of valid answers.
            value: initial text of the field.
            error: why the last answer was rejected.
        """
        super().__init__()
        self._title = title
        self._explanation = explanation
        self._value = value
        self._error = error

    def compose(self) -> ComposeResult:
        """Lay out the field below its explanation."""
        with Vertical():
            yield Static(Text(f"{printable(self._title)}\n", style="bold"))
            yield Static(Text(f"{printable_lines(self._explanation)}\n", style="dim"))
            yield Input(self._value, select_on_focus=False)
            if self._error:
                yield Static(Text(printable_lines(self._error)), classes="error")
            yield Static(Text("\nEnter continues · Esc cancels", style="dim"))

    @on(Input.Submitted)
    def _answer(self, message: Input.Submitted) -> None:
        message.stop()
        self.dismiss(message.value.strip())

    def action_cancel(self) -> None:
        """Close without an answer."""
        self.dismiss(None)
