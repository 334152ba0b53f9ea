"""Asks what to do with a live run when the user quits the studio."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from .overlay import OverScreen

Answer = Literal["keep", "stop", "cancel"]


class LeaveScreen(OverScreen[Answer]):
    """Asks whether to keep training without the screen, to save and stop, or to cancel."""

    DEFAULT_CSS = """
    LeaveScreen { align: center middle; }
    LeaveScreen > Vertical {
        width: 62; height: auto; padding: 1 2;
        border: round $primary; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("k", "answer('keep')", "Detach"),
        Binding("s", "answer('stop')", "Save and stop"),
        Binding("escape,n", "answer('cancel')", "Cancel"),
    ]

    def __init__(self, *, can_detach: bool) -> None:
        super().__init__()
        self._can_detach = can_detach

    def compose(self) -> ComposeResult:
        """Lay out the question and its keys."""
        with Vertical():
            yield Static("A run is training.\n", markup=False)
            if self._can_detach:
                yield Static("k    Detach: keep training in the background", markup=False)
            yield Static("s    Save a checkpoint and stop", markup=False)
            yield Static("Esc  Cancel", markup=False)

    def action_answer(self, answer: Answer) -> None:
        """Close with an answer."""
        if answer != "keep" or self._can_detach:
            self.dismiss(answer)
