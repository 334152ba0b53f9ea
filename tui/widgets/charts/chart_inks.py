"""Colors of a chart's lines as styles, from the theme."""

from __future__ import annotations

from collections.abc import Mapping

from rich.color import Color as RichColor
from rich.style import Style
from textual.color import Color, ColorParseError

from ...look.theme_color import theme_color

_FAINT = 0.66  # share of the background in a faint line
_ANSI_FAINT = "bright_black"
_GRAY = 0.5  # share of the background in a color that no theme knows


def line_style(color: str, variables: Mapping[str, str], background: Color, *, is_faint: bool) -> Style:
    """The style of a line.

    Args:
        color: CSS color, or a theme variable such as `$series-1`.
        variables: theme variables by name.
        background: color of what it is drawn on.
        is_faint: whether the line is to be seen below others.
    """
    parsed = _parsed(color, variables, background)
    if parsed.ansi is not None:
        return Style(color=RichColor.parse(_ANSI_FAINT) if is_faint else parsed.rich_color)
    solid = background + parsed
    return Style(color=(solid.blend(background, _FAINT) if is_faint else solid).rich_color)


def _parsed(color: str, variables: Mapping[str, str], background: Color) -> Color:
    value = variables.get(color[1:], "") if color.startswith("$") else color
    try:
        return theme_color(value, background)
    except ColorParseError:
        return background.blend(background.get_contrast_text(1.0), _GRAY, alpha=1)
