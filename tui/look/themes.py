"""The two themes of our own, and the variables that every theme gets.

A widget names a meaning, never a color: `$series-1` is the training split on every chart, `$best` the best value.
Text of the shell's commands and of the panes names the terminal's own red, green and yellow; `ansi_colors` makes
them the theme's error, success and warning.

Neutrals have a saturation below 0.15, so that a terminal of 256 colors shows them with its ramp of grays. The series
are told apart with every common color blindness by lightness too (after Okabe and Ito, "Color universal design").
"""

from __future__ import annotations

from collections.abc import Mapping

from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.theme import Theme

from .theme_color import theme_color

DARK_NAME, LIGHT_NAME = "torchdeck", "torchdeck-light"

# Meanings that Textual has no variable for. A theme may set them; these are their values otherwise.
_DARK = {
    "key": "#FF8A4C",  # a key that can be pressed
    "series-1": "#5AB1F5",  # training split
    "series-2": "#F2C45A",  # validation split
    "series-3": "#7FD88F",  # schedules
    "series-4": "#DDB6FF",  # memory, gradients
    "series-5": "#4FD1C5",  # throughput
    "series-6": "#F58FA8",
    "series-7": "#A3AEF7",
    "series-8": "#C8D46A",
    "best": "#F2C45A",
    "frame": "#333941",  # of a panel without the focus
    "track": "#31363D",  # empty part of a bar
    "grid": "#272B31",  # lines of a chart
    "well": "#21252B",  # what can be typed into
    "cursor": "#3F352F",  # row under the cursor of the focused list
    "cursor-idle": "#25292F",  # of any other list
}
_LIGHT = {
    "key": "#B8430F",
    "series-1": "#1A63A8",
    "series-2": "#8F5600",
    "series-3": "#237A34",
    "series-4": "#6B35C8",
    "series-5": "#0A726D",
    "series-6": "#C2255C",
    "series-7": "#4C51BF",
    "series-8": "#5F6B00",
    "best": "#8F5600",
    "frame": "#CFC8BD",
    "track": "#DAD4CA",
    "grid": "#E6E1D8",
    "well": "#EAE5DC",
    "cursor": "#F3DCCB",
    "cursor-idle": "#E9E4DB",
}
# Sixteen colors: the terminal's own, which suit its background.
_ANSI = {
    "key": "ansi_bright_magenta",
    "series-1": "ansi_bright_blue",
    "series-2": "ansi_bright_yellow",
    "series-3": "ansi_bright_green",
    "series-4": "ansi_bright_magenta",
    "series-5": "ansi_bright_cyan",
    "series-6": "ansi_bright_red",
    "series-7": "ansi_cyan",
    "series-8": "ansi_green",
    "best": "ansi_bright_yellow",
    "frame": "ansi_bright_black",
    "track": "ansi_bright_black",
    "grid": "ansi_bright_black",
    "well": "ansi_default",
    "cursor": "ansi_blue",
    "cursor-idle": "ansi_bright_black",
}
# How much of the foreground is in a neutral of a theme that does not set it.
_NEUTRALS = {"frame": 0.22, "track": 0.18, "grid": 0.10, "well": 0.07, "cursor-idle": 0.09}
_CURSOR_SHARE = 0.26


def _own_theme(name: str, colors: Mapping[str, str], meanings: Mapping[str, str], *, dark: bool) -> Theme:
    primary, ground, ink = colors["primary"], colors["background"], colors["foreground"]
    frame = meanings["frame"]
    return Theme(
        name=name,
        dark=dark,
        primary=primary,
        secondary=colors["secondary"],
        accent=colors["accent"],
        success=colors["success"],
        warning=colors["warning"],
        error=colors["error"],
        foreground=ink,
        background=ground,
        surface=colors["surface"],
        panel=colors["panel"],
        variables={
            "text": ink,
            "text-muted": colors["muted"],
            "text-disabled": colors["disabled"],
            "text-primary": colors["text-primary"],
            "text-success": colors["success"],
            "text-warning": colors["warning"],
            "text-error": colors["error"],
            "border": primary,
            "border-blurred": frame,
            "block-cursor-background": meanings["cursor"],
            "block-cursor-foreground": ink,
            "block-cursor-text-style": "bold",
            "block-cursor-blurred-background": meanings["cursor-idle"],
            "block-cursor-blurred-foreground": ink,
            "block-cursor-blurred-text-style": "none",
            "input-cursor-background": primary,
            "input-cursor-foreground": ground,
            "input-selection-background": f"{primary} 30%",
            "scrollbar": frame,
            "scrollbar-hover": colors["disabled"],
            "scrollbar-active": primary,
            "scrollbar-background": ground,
            "scrollbar-background-hover": ground,
            "scrollbar-background-active": ground,
            "scrollbar-corner-color": ground,
            "footer-key-foreground": meanings["key"],
            **meanings,
        },
    )


DARK = _own_theme(
    DARK_NAME,
    {
        "primary": "#FF8A4C",
        "text-primary": "#FF9D68",
        "secondary": "#5AB1F5",
        "accent": "#F2C45A",
        "success": "#5FD38D",
        "warning": "#F2C14E",
        "error": "#F9737C",
        "foreground": "#D9E0E9",
        "muted": "#8E99A8",
        "disabled": "#7C8694",
        "background": "#0F1216",
        "surface": "#191C20",
        "panel": "#1F2328",
    },
    _DARK,
    dark=True,
)
LIGHT = _own_theme(
    LIGHT_NAME,
    {
        "primary": "#B8430F",
        "text-primary": "#B0400E",
        "secondary": "#1A63A8",
        "accent": "#8F5600",
        "success": "#1B6F34",
        "warning": "#855800",
        "error": "#BE2230",
        "foreground": "#1F2328",
        "muted": "#595F69",
        "disabled": "#6B675F",
        "background": "#FAF7F2",
        "surface": "#F2EDE5",
        "panel": "#EAE4DA",
    },
    _LIGHT,
    dark=False,
)
OWN_THEMES = (DARK, LIGHT)


def meanings_for(theme: Theme) -> dict[str, str]:
    """The values of our own variables in a theme that does not set them: Textual's, or a user's."""
    if theme.ansi:
        return dict(_ANSI)
    meanings = dict(_DARK if theme.dark else _LIGHT)
    colors = theme.to_color_system().generate()
    # Frames and cursors follow the theme, so that it looks like itself.
    ground, ink = Color.parse(colors["background"]), Color.parse(colors["foreground"])
    for name, share in _NEUTRALS.items():
        meanings[name] = ground.blend(ink, share, alpha=1).hex
    meanings["key"] = colors["footer-key-foreground"]
    meanings["cursor"] = ground.blend(Color.parse(colors["primary"]), _CURSOR_SHARE, alpha=1).hex
    return meanings


def ansi_colors(variables: Mapping[str, str]) -> TerminalTheme:
    """What the sixteen names of colors mean on a screen with these theme variables: red is its error, and so on.

    Args:
        variables: theme variables by name, as `App.theme_variables`.
    """
    ground, ink = _rgb(variables["background"]), _rgb(variables["foreground"])
    muted = _rgb(variables["text-muted"], over=variables["background"])
    tones = ("error", "success", "warning", "series-1", "series-4", "series-5")
    red, green, yellow, blue, magenta, cyan = (_rgb(variables[name]) for name in tones)
    normal = [ground, red, green, yellow, blue, magenta, cyan, ink]
    return TerminalTheme(ground, ink, normal, [muted, *normal[1:]])


def _rgb(color: str, over: str = "") -> tuple[int, int, int]:
    """A color of a theme, over another one if that is named."""
    ground = Color.parse(over or "#000000")
    parsed = theme_color(color, ground)
    return (ground + parsed).rgb if over else parsed.rgb
