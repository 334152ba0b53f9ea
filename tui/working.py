"""Panes and screens with background work, which may close before the work is done."""

from __future__ import annotations

from textual import on
from textual.dom import DOMNode
from textual.message_pump import MessagePump
from textual.messages import Prune


class Working(MessagePump):
    """A widget or screen whose workers are canceled before its children are removed.

    Textual cancels workers only after the children are gone; a result or progress that arrives in between would
    update children that no longer exist.

    Put it before the widget class in the list of bases. Every class with workers (`@work`) inherits from it.
    """

    @on(Prune)
    def _end_work(self) -> None:
        # A node gets this message before its children do.
        assert isinstance(self, DOMNode)
        self.workers.cancel_node(self)
