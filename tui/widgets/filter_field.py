"""A field that filters the rows of a panel while it is typed into; it takes the place of the last line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.binding import BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from ..keys.bindings import bindings
from .field import Field
from .key_line import KeyLine


class FilterField(Field):
    """Enter keeps the filter, Escape ends it; either way the focus goes back to the filtered panel."""

    DEFAULT_CSS = "FilterField { dock: bottom; width: 100%; }"
    BINDINGS: ClassVar[list[BindingType]] = bindings("filter")

    @dataclass
    class Typed(Message):
        """The text of the filter; empty to show all. Sent to the filtered widget, and bubbles from there."""

        target: Widget
        text: str

        @property
        def control(self) -> Widget:
            """The filtered widget."""
            return self.target

    def __init__(self, target: Widget, text: str, examples: str) -> None:
        super().__init__(text, placeholder=f"{examples}    Enter keeps it · Esc shows all")
        self._target = target

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter with every letter."""
        event.stop()
        self._target.post_message(self.Typed(self._target, self.value.strip()))

    def on_blur(self) -> None:
        """A click elsewhere keeps the filter."""
        self._leave()

    def action_leave(self, is_kept: bool) -> None:
        """Go back to the panel."""
        if not is_kept:
            self._target.post_message(self.Typed(self._target, ""))
        if self._target.is_attached:
            self.screen.set_focus(self._target)
        self._leave()

    def _leave(self) -> None:
        for line in self.screen.query(KeyLine):
            line.display = True
        self.remove()


async def ask_filter(target: Widget, text: str, examples: str) -> None:
    """Let the user type a filter of a widget, which gets `FilterField.Typed` messages.

    Args:
        target: the filtered widget.
        text: the present filter.
        examples: what can be typed, as a placeholder.
    """
    screen = target.screen
    field = FilterField(target, text, examples)
    for line in screen.query(KeyLine):
        line.display = False
    await screen.mount(field)
    screen.set_focus(field)
