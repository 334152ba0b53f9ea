"""The frame of the studio's screen: themes, sizes, zoom, toasts, and the user's own keys."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rich.terminal_theme import TerminalTheme
from textual.binding import BindingType
from textual.dom import DOMNode
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.theme import Theme, ThemeProvider
from textual.types import CSSPathType
from textual.widget import Widget

from torchdeck.engine.errors import ConfigError

from .graphics.support import Wish
from .keys.bindings import bindings, checked_keymap
from .look.preferences import Preferences, preferences_path, read_preferences, remember
from .look.themes import DARK_NAME, LIGHT_NAME, OWN_THEMES, ansi_colors, meanings_for
from .plain_text import printable
from .process.terminal import Terminal, TerminalApp

WIDTHS = [(0, "-w80"), (110, "-w120"), (150, "-w160"), (185, "-w200")]
HEIGHTS = [(0, "-h24"), (34, "-h40"), (54, "-h60")]
"""Classes of the screen by its columns and lines. Only stylesheets look at them."""

_SECONDS = {"information": 4.0, "warning": 6.0, "error": 3600.0}
_MOST_TOLD = 1000


@dataclass(frozen=True)
class Told:
    """A toast that was shown, for the log.

    Attributes:
        at: seconds since 1970.
        severity: information, warning or error.
        title: what it is about; may be empty.
        text: what it said, as plain text.
    """

    at: float
    severity: SeverityLevel
    title: str
    text: str


_HERE = Path(__file__).parent


class Floor(Screen[Any], inherit_bindings=False):
    """The screen of the panes. The keys from panel to panel are the app's, so that the last line shows them."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("selection")


class Stage(TerminalApp[None]):
    """An app in torchdeck's look.

    Attributes:
        preferences: what the user prefers, as read at the start.
        told: toasts so far, oldest first.
    """

    TITLE = "torchdeck"
    CSS_PATH: ClassVar[CSSPathType | None] = [_HERE / "studio.tcss", _HERE / "screens" / "screens.tcss"]
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS
    ALLOW_IN_MAXIMIZED_VIEW: ClassVar[str] = "TabLine, KeyLine, FilterField, ToastRack"
    ESCAPE_TO_MINIMIZE: ClassVar[bool] = False
    COMMANDS: ClassVar[set[Any]] = set()

    def __init__(self, terminal: Terminal | None = None, *, graphics: Wish = "auto") -> None:
        super().__init__(terminal, graphics=graphics)
        self.told: list[Told] = []
        self._wrong_preferences = ""
        self._ansi_colors: tuple[str, TerminalTheme] | None = None
        try:
            self.preferences = read_preferences(preferences_path())
            self.set_keymap(checked_keymap(self.preferences.keys))
        except ConfigError as error:
            self.preferences = Preferences()
            self._wrong_preferences = str(error)
        for theme in OWN_THEMES:
            self.register_theme(theme)
        self.theme = self._first_theme()
        self._kept_theme = self.theme

    def _first_theme(self) -> str:
        """The theme to begin with: of the environment, of the user's file, or one that suits the terminal."""
        for wanted in (os.environ.get("TORCHDECK_THEME", ""), self.preferences.theme):
            if wanted in self.available_themes:
                return wanted
            if wanted:
                self._wrong_preferences = f"no theme {wanted!r}: the command palette (:) lists all themes"
        return DARK_NAME if self.terminal is None or self.console.color_system != "standard" else "ansi-dark"

    def suit_background(self, is_light: bool) -> None:
        """Take the theme that suits the terminal's background, unless the user has chosen one."""
        is_chosen = self.preferences.theme or os.environ.get("TORCHDECK_THEME")
        suited = {DARK_NAME: LIGHT_NAME, "ansi-dark": "ansi-light"} if is_light else {}
        if not is_chosen and self.theme in suited:
            self._kept_theme = suited[self.theme]
            self.theme = self._kept_theme

    def on_ready(self) -> None:
        """Say what is wrong with the user's preferences."""
        if self._wrong_preferences:
            self.notify(self._wrong_preferences, severity="warning")
        self.theme_changed_signal.subscribe(self, self._keep_theme)

    def _keep_theme(self, theme: Theme) -> None:
        # A look through the list of themes changes it many times.
        self.set_timer(1.0, self._remember_theme, name="theme")

    def _remember_theme(self) -> None:
        if self.theme == self._kept_theme:
            return
        self._kept_theme = self.theme
        self.remember(theme=self.theme)

    def remember(self, *, theme: str | None = None, pane: str = "", **choices: Any) -> None:
        """Keep a choice of the user for the next session; a file that can't be written is said."""
        try:
            remember(preferences_path(), theme=theme, pane=pane, **choices)
        except (OSError, ConfigError) as error:
            self.notify(f"not remembered: {error}", severity="warning")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Give every theme our own variables."""
        return meanings_for(self.current_theme)

    @property
    def ansi_theme(self) -> TerminalTheme:
        """What red, green and the other named colors of texts look like in this theme."""
        if self.current_theme.ansi:
            return super().ansi_theme
        if self._ansi_colors is None or self._ansi_colors[0] != self.theme:
            self._ansi_colors = self.theme, ansi_colors(self.get_css_variables())
        return self._ansi_colors[1]

    def get_default_screen(self) -> Screen[Any]:
        """A screen that has the classes of its size from the start, which saves a layout and a painting."""
        return self._in_size(Floor(id="_default"))

    def get_screen(self, screen: Any, screen_class: Any = None) -> Any:
        """A screen that is about to be shown; it too has its classes from the start."""
        found: Screen[Any] = super().get_screen(screen, screen_class)
        return found if found.is_running else self._in_size(found)

    def _in_size(self, screen: Screen[Any]) -> Screen[Any]:
        for points, length in ((WIDTHS, self.size.width), (HEIGHTS, self.size.height)):
            screen.add_class(next(name for least, name in reversed(points) if length >= least))
        return screen

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Answer a key, or say what happened elsewhere; the log keeps it. The text is plain, not markup."""
        text = printable(message, 300)
        self.told = [*self.told, Told(time.time(), severity, title, text)][-_MOST_TOLD:]
        seconds = _SECONDS[severity] if timeout is None else timeout
        super().notify(text, title=title, severity=severity, timeout=seconds, markup=False)

    def action_zoom(self) -> None:
        """Show the focused panel on the whole screen, or all of them again."""
        screen = self.screen
        if screen.maximized is not None:
            screen.minimize()
        elif (panel := panel_of(self.focused)) is not None:
            screen.maximize(panel, container=False)

    async def action_back(self) -> None:
        """One step back: close an error that is told, then end the zoom."""
        if any(each.severity == "error" for each in self._notifications):
            self.clear_notifications()
        elif self.screen.maximized is not None:
            self.screen.minimize()

    def action_redraw(self) -> None:
        """Paint everything anew."""
        self.redraw()

    def action_command_palette(self) -> None:
        """Open the list of everything that is found by name."""
        from .screens.command_list import Palette

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_change_theme(self) -> None:
        """Choose the theme from a list."""
        self.search_themes()

    def search_themes(self) -> None:
        """Open the list of the themes."""
        from .screens.command_list import Palette

        self.push_screen(Palette([ThemeProvider], placeholder="Search for themes…"))


def panel_of(widget: Widget | None) -> Widget | None:
    """The panel that a widget is or lies in; None if it lies in none."""
    if widget is None:
        return None
    nodes: list[DOMNode] = [node for node in widget.ancestors_with_self if node.has_class("panel")]
    return nodes[0] if nodes and isinstance(nodes[0], Widget) else None
