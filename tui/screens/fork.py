"""Asks what of a checkpoint a fork takes over."""

from __future__ import annotations

from typing import Literal

from textual.app import ComposeResult
from textual.widgets import Static

from .dialog import Answer, Dialog

ForkOf = Literal["state", "weights", ""]


class ForkScreen(Dialog[ForkOf]):
    """Each answer says where the new run begins."""

    def __init__(self, checkpoint: str, epoch: int) -> None:
        """Create the dialog.

        Args:
            checkpoint: what is forked, as plain text.
            epoch: epochs that it has trained.
        """
        answers: list[Answer[ForkOf]] = [
            Answer("s", "Whole state", "state", "primary", also="f"),
            Answer("w", "Weights alone", "weights"),
        ]
        super().__init__(f"Fork {checkpoint}?", answers, escape="", way_out="keeps the draft")
        self._epoch = epoch

    def body(self) -> ComposeResult:
        """What the new draft does."""
        yield Static(
            "It becomes the draft: 3 changes its settings, S starts it.\n\n"
            f"[$text-muted]Whole state  [/]continues behind epoch [b]{self._epoch}[/], bit for bit\n"
            "[$text-muted]Weights alone[/] begins at epoch [b]1[/] with a new optimizer"
        )
