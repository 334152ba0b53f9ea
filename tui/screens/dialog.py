"""Dialogs: a question with the facts that decide it, and buttons that also answer to their letters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, Literal, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button

from ..drawing import name
from ..keys.bindings import bindings

OVER_KEYS = ("dismiss", "app.keys")
"""Actions that keep their place in the last line of a screen over the studio."""

ResultT = TypeVar("ResultT")
Tone = Literal["default", "primary", "warning", "error"]


class OverScreen(ModalScreen[ResultT]):
    """The base of every screen over the studio.

    A modal screen hides the studio's keys, except the one that lists the keys. In a text field, `?` is text and F1
    lists them.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog")

    async def on_click(self, event: events.Click) -> None:
        """A click on the page behind is Escape."""
        escape = self.active_bindings.get("escape")
        if escape is not None and self.get_widget_at(event.screen_x, event.screen_y)[0] is self:
            event.stop()
            await self.app.run_action(escape.binding.action, escape.node)


@dataclass(frozen=True)
class Answer(Generic[ResultT]):
    """An answer of a dialog.

    Attributes:
        key: key that gives it; empty for none but Enter on its button.
        label: text of its button.
        value: what the dialog returns.
        tone: warning for what ends or discards something, error for what can't be undone.
        also: more keys, separated by commas.
    """

    key: str
    label: str
    value: ResultT
    tone: Tone = "default"
    also: str = ""


class Dialog(OverScreen[ResultT]):
    """One panel in the middle. Escape gives the answer that changes nothing, and the frame says what that is.

    Subclasses compose the facts in `body`.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("answers")

    def __init__(
        self,
        question: str,
        answers: Iterable[Answer[ResultT]],
        *,
        escape: ResultT,
        way_out: str,
        tone: Tone = "primary",
        first: int = 0,
    ) -> None:
        """Create the dialog.

        Args:
            question: the title, as plain text.
            answers: its answers besides Escape, in the order of their buttons.
            escape: what it returns on Escape.
            way_out: what Escape means, such as "trains on".
            tone: color of the frame.
            first: index of the answer that has the focus; -1 for Escape.
        """
        super().__init__()
        self._question = question
        self._answers = tuple(answers)
        self._escape = escape
        self._way_out = way_out
        self._tone = tone
        self._first = first
        for number, answer in enumerate(self._answers):
            if keys := ",".join(filter(None, (answer.key, answer.also))):
                self._bindings.bind(keys, f"answer({number})", answer.label, show=False)
        self._bindings.bind("escape", "answer(-1)", way_out, show=False)

    def body(self) -> ComposeResult:
        """The facts that decide the answer."""
        yield from ()

    def compose(self) -> ComposeResult:
        """Lay out the facts above the buttons."""
        with Vertical(classes=f"dialog -{self._tone}") as box:
            box.border_title = name(self._question)
            box.border_subtitle = f"[b]Esc[/] {name(self._way_out)}"
            yield from self.body()
            with Horizontal(classes="buttons"):
                for number, answer in enumerate(self._answers):
                    key = f"[b]{name(answer.key)}[/]  " if answer.key else ""
                    yield Button(f"{key}{name(answer.label)}", id=f"answer-{number}", variant=answer.tone)
                yield Button(f"[b]Esc[/]  {name(self._way_out.capitalize())}", id="answer-escape")

    def on_mount(self) -> None:
        """Focus where one begins."""
        self.focus_first()

    def focus_first(self) -> None:
        """Focus the gentlest answer that does what was asked; a dialog with a field, that field."""
        buttons = list(self.query(Button))
        buttons[self._first].focus()

    @on(Button.Pressed)
    def _press(self, event: Button.Pressed) -> None:
        event.stop()
        chosen = str(event.button.id).removeprefix("answer-")
        self.action_answer(-1 if chosen == "escape" else int(chosen))

    def action_answer(self, number: int) -> None:
        """Close with an answer; -1 is that of Escape."""
        self.dismiss(self._escape if number < 0 else self._answers[number].value)
