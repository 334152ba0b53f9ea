"""Two small dialogs: yes or no, and a line of text."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input, Static

from torchdeck.engine.config import RunConfig
from torchdeck.engine.plurals import plural

from ..drawing import escape
from ..plain_text import printable_lines
from ..widgets.field import Field
from .dialog import Answer, Dialog, Tone


class ConfirmScreen(Dialog[bool]):
    """Asks for confirmation."""

    def __init__(
        self,
        question: str,
        what_happens: str,
        *,
        yes: str = "Yes",
        way_out: str = "cancels",
        again: str = "",
        tone: Tone = "primary",
    ) -> None:
        """Create the dialog.

        Args:
            question: one line.
            what_happens: consequences of yes, in lines.
            yes: label of the answer yes, a verb.
            way_out: what Escape means.
            again: key that brought up the question and, pressed again, means yes.
            tone: warning if yes ends or discards something, error if it can't be undone: then Escape has the focus.
        """
        answers = [Answer("y", yes, True, tone, also=again)]
        first = -1 if tone == "error" else 0
        super().__init__(question, answers, escape=False, way_out=way_out, tone=tone, first=first)
        self._bindings.bind("n", "answer(-1)", way_out, show=False)
        self._what_happens = what_happens

    def body(self) -> ComposeResult:
        """The consequences."""
        yield Static(escape(printable_lines(self._what_happens)))


def start_question(draft: RunConfig) -> ConfirmScreen:
    """Ask whether to start a run, where the draft is not on the screen."""
    epochs = plural(draft.training.epochs, "epoch")
    words = f"{draft.model.name} on {draft.data.dataset}, {epochs}.\n3 Setup shows every setting."
    return ConfirmScreen(f"Start the run {draft.name}?", words, yes="Start", way_out="not yet", again="S")


class PromptScreen(Dialog[str | None]):
    """Asks for a line of text; returns None if the user cancels."""

    def __init__(self, title: str, explanation: str, value: str = "", *, error: str = "") -> None:
        """Create the dialog.

        Args:
            title: question on one line.
            explanation: description of valid answers.
            value: initial text of the field.
            error: why the last answer was rejected.
        """
        super().__init__(title, [Answer[str | None]("", "Apply", None, "primary")], escape=None, way_out="cancels")
        self._explanation = explanation
        self._value = value
        self._error = error

    def body(self) -> ComposeResult:
        """The field below its explanation."""
        yield Static(f"[$text-muted]{escape(printable_lines(self._explanation))}[/]", classes="words")
        yield Field(self._value, select_on_focus=False)
        if self._error:
            yield Static(f"[$text-error]{escape(printable_lines(self._error))}[/]", classes="words")
        yield Static("[b $key]Enter[/] applies")

    def focus_first(self) -> None:
        """Focus the field."""
        self.query_one(Input).focus()

    @on(Input.Submitted)
    def _submit(self, message: Input.Submitted) -> None:
        message.stop()
        self.action_answer(0)

    def action_answer(self, number: int) -> None:
        """Close with what was typed."""
        self.dismiss(None if number < 0 else self.query_one(Input).value.strip())
