"""Panes and screens that ask for something in the background, and may be gone before they are answered."""

from __future__ import annotations

from textual import on
from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.messages import Prune


class Working(MessagePump):
    """A widget or a screen whose workers are cancelled before anything in it is taken down.

    Textual by itself cancels them once everything in it is gone: what came in between, an answer or news of how far
    something is, was to be shown in parts that were not there any more.

    To be named before the kind of widget. Every class that has workers (`@work`) is one of these.
    """

    @on(Prune)
    def _end_work(self) -> None:
        # A node is told before its children are.
        assert isinstance(self, DOMNode)
        self.workers.cancel_node(self)
