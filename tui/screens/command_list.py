"""The list of commands, of themes and of whatever else is found by name, in the studio's look."""

from __future__ import annotations

from textual.command import CommandInput, CommandPalette


class Palette(CommandPalette):
    """Textual's palette, which sends nothing while it waits."""

    def on_mount(self) -> None:
        """Keep the cursor still: over SSH, one that blinks sends bytes for ever."""
        self.query_one(CommandInput).cursor_blink = False
