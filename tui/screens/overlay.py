"""What lies over the studio for a while: a modal screen whose keys are listed like those of a pane."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen, ScreenResultType

OVER_KEYS = ("dismiss", "app.keys")
"""What keeps its place in the line of keys of such a screen."""


class OverScreen(ModalScreen[ScreenResultType]):
    """The base of every screen over the studio.

    A modal screen sees none of the studio's own keys; the one that lists the keys works here all the same. Where a
    line is typed into, `?` is text and F1 does it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1", "app.keys", "Keys", key_display="?"),
    ]
