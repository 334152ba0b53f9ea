"""Asks what to do with a live run when the user quits the studio."""

from __future__ import annotations

from typing import Literal

from textual.app import ComposeResult
from textual.widgets import Static

from ..drawing import name
from .dialog import Answer, Dialog

Leave = Literal["keep", "stop", "cancel"]


class LeaveScreen(Dialog[Leave]):
    """Asks whether to keep training without the screen, to save and stop, or to stay."""

    def __init__(self, run: str, time_left: str, *, can_detach: bool) -> None:
        """Create the dialog.

        Args:
            run: name of the live run.
            time_left: how long it will train; empty if unknown.
            can_detach: whether it can train without the screen.
        """
        keep: list[Answer[Leave]] = [Answer("k", "Keep training", "keep", "primary")] if can_detach else []
        stop: Answer[Leave] = Answer("s", "Save and stop", "stop", "warning")
        super().__init__("Leave the studio?", [*keep, stop], escape="cancel", way_out="stays", tone="warning")
        self._run, self._time_left, self._can_detach = run, time_left, can_detach

    def body(self) -> ComposeResult:
        """What the run is doing, and how to come back to it."""
        left = f" and has [b]{name(self._time_left)}[/] to go" if self._time_left else ""
        lines = [f"[$success]●[/] [b]{name(self._run)}[/] is training{left}."]
        if self._can_detach:
            lines += [
                "",
                "[$text-muted]Kept, it trains on without this screen, and the shell is yours again;[/]",
                f"[$text-muted]torchdeck attach {name(self._run)}  brings the screen back.[/]",
            ]
        yield Static("\n".join(lines))
