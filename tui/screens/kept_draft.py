"""Offers the draft that was left behind when the studio ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from ..drawing import name
from .dialog import Answer, Dialog

KeptAnswer = Literal["continue", "delete", "later"]


class KeptDraftScreen(Dialog[KeptAnswer]):
    """Lists how the kept draft differs from the current one, and asks what to do with it."""

    def __init__(self, changes: Sequence[str]) -> None:
        """`changes`: one line for each setting that differs."""
        answers: list[Answer[KeptAnswer]] = [
            Answer("y", "Continue with it", "continue", "primary"),
            Answer("n", "Delete it", "delete", "warning"),
        ]
        super().__init__("Continue with your last draft?", answers, escape="later", way_out="decides later")
        self._changes = changes

    def body(self) -> ComposeResult:
        """The differences."""
        yield Static("It was not started when the studio ended. It differs in:")
        with VerticalScroll(can_focus=False, classes="words"):
            yield Static("\n".join(name(line) for line in self._changes))
