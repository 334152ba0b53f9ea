"""Two small dialogs: yes or no, and a line of text."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.plurals import plural

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
    """Asks for confirmation."""

    DEFAULT_CSS = _BOX.format(name="ConfirmScreen")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes"),
        Binding("escape,n,q", "answer(False)", "No"),
    ]

    def __init__(self, question: str, what_happens: str, *, again: str = "") -> None:
        """Create the dialog.

        Args:
            question: one line.
            what_happens: consequences of yes, in lines.
            again: key that brought up the question and, pressed again, means yes.
        """
        super().__init__()
        self._again = again
        if again:
            self._bindings.bind(again, "answer(True)", "Yes", show=False)
        self._question = question
        self._what_happens = what_happens

    def compose(self) -> ComposeResult:
        """Lay out the question and its keys."""
        with Vertical():
            yield Static(Text(f"{printable(self._question)}\n", style="bold"))
            yield Static(Text(f"{printable_lines(self._what_happens)}\n"))
            yield Static(Text(f"y    yes{f' (or {self._again} again)' if self._again else ''}\nEsc  no"))

    def action_answer(self, answer: bool) -> None:
        """Close with an answer."""
        self.dismiss(answer)


def start_question(draft: RunConfig) -> ConfirmScreen:
    """Ask whether to start a run, where the draft is not on the screen."""
    epochs = plural(draft.training.epochs, "epoch")
    words = f"{draft.model.name} on {draft.data.dataset}, {epochs}. Setup (3) shows every setting."
    return ConfirmScreen(f"Start the run {draft.name}?", words, again="s")


def stop_question(run: str) -> ConfirmScreen:
    """Ask whether to stop a run."""
    return ConfirmScreen(f"Stop {run}?", "A checkpoint is saved at its next step; Runs (5) resumes it.", again="x")


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
