"""A line of text to edit."""

from __future__ import annotations

from textual.suggester import Suggester
from textual.widgets import Input


class Field(Input):
    """An input of one line whose cursor stands still: over SSH, one that blinks sends bytes for ever."""

    def __init__(
        self,
        value: str = "",
        *,
        placeholder: str = "",
        id: str | None = None,
        select_on_focus: bool = True,
        suggester: Suggester | None = None,
    ) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            id=id,
            select_on_focus=select_on_focus,
            suggester=suggester,
            compact=True,
        )
        self.cursor_blink = False
