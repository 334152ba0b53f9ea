"""A search for a value of the draft as a dialog, which runs while it is open."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from .dialog import Answer, Dialog

ValueT = TypeVar("ValueT")


class SearchScreen(Dialog[ValueT | None]):
    """Searches in a worker process; returns the value that the user accepted, if any."""

    NOTHING: ClassVar[str] = ""
    """What to say where nothing is suggested."""

    def __init__(self, title: str) -> None:
        answers = [Answer[ValueT | None]("w", "Write it into the draft", None, "primary")]
        super().__init__(title, answers, escape=None, way_out="cancels")

    @property
    def suggested(self) -> ValueT | None:
        """The value that was found; None if there is none yet, or at all."""
        raise NotImplementedError

    def action_answer(self, number: int) -> None:
        """Close with the value that was found, or without a result: then the search ends."""
        if number < 0:
            self.workers.cancel_node(self)
            self.dismiss(None)
        elif self.suggested is not None:
            self.dismiss(self.suggested)
        else:
            self.app.notify(self.NOTHING, severity="warning")
