"""Modal screens over the studio, whose keys are listed like those of a pane."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, ScreenResultType

OVER_KEYS = ("dismiss", "app.keys")
"""Actions that keep their place in the key line of such a screen."""


class OverScreen(ModalScreen[ScreenResultType]):
    """The base of every screen over the studio.

    A modal screen hides the studio's keys, except the one that lists the keys. In a text field, `?` is text and F1
    lists them.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "app.keys", "Keys", key_display="?"),
    ]
