"""The list of commands, of themes and of whatever else is found by name, in the studio's look."""

from __future__ import annotations

from textual.command import CommandInput, CommandPalette
from textual.widgets import LoadingIndicator

_FRAMES_A_SECOND = 8


class Palette(CommandPalette):
    """Textual's palette, which sends nothing and computes nothing while it waits."""

    def on_mount(self) -> None:
        """Keep the cursor still: over SSH, one that blinks sends bytes for ever."""
        self.query_one(CommandInput).cursor_blink = False
        # The indicator begins to move when it is mounted, seen or not.
        self.call_after_refresh(self.watch, self, "_show_busy", self._move_indicator)

    def _move_indicator(self, is_busy: bool) -> None:
        self.query_one(LoadingIndicator).auto_refresh = 1 / _FRAMES_A_SECOND if is_busy else None
