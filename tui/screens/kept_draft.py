"""Offers the draft that was left behind when the studio ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from ..plain_text import printable
from .overlay import OverScreen

KeptAnswer = Literal["continue", "delete", "later"]


class KeptDraftScreen(OverScreen[KeptAnswer]):
    """Lists how the kept draft differs from the current one, and asks what to do with it."""

    DEFAULT_CSS = """
    KeptDraftScreen { align: center middle; }
    KeptDraftScreen > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 0 2;
        border: round $primary; background: $surface;
        & Static { height: auto; }
        & VerticalScroll { height: auto; max-height: 12; margin: 1 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer('continue')", "Continue with it"),
        Binding("n", "answer('delete')", "Delete it"),
        Binding("escape", "answer('later')", "Decide later"),
    ]

    def __init__(self, changes: Sequence[str]) -> None:
        """`changes`: one line for each setting that differs."""
        super().__init__()
        self._changes = changes

    def compose(self) -> ComposeResult:
        """Lay out the differences above the answers."""
        with Vertical() as box:
            box.border_title = "Continue with your last draft?"
            yield Static("It was not started when the studio ended. It differs in:", markup=False)
            with VerticalScroll():
                yield Static(Text("\n".join(printable(line) for line in self._changes)))
            yield Static(Text("y    continue with it\nn    delete it\nEsc  decide later; it stays kept"))

    def action_answer(self, answer: KeptAnswer) -> None:
        """Close with an answer."""
        self.dismiss(answer)
