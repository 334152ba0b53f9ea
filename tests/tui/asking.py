"""An app that opens one dialog and keeps its answers."""

from __future__ import annotations

from typing import Any

from textual.screen import ModalScreen

from torchdeck.tui.stage import Stage


class Asking(Stage):
    """The dialog in the studio's look.

    Attributes:
        dialog: what is asked.
        answers: every answer that it was closed with.
    """

    def __init__(self, dialog: ModalScreen[Any]) -> None:
        super().__init__()
        self.dialog = dialog
        self.answers: list[object] = []

    def on_ready(self) -> None:
        self.push_screen(self.dialog, self.answers.append)
