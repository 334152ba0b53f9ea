"""Colors as CSS and the variables of a theme write them."""

from __future__ import annotations

from textual.color import Color


def theme_color(text: str, ground: Color) -> Color:
    """Parse a color with an optional strength, such as "#FF8A4C 30%" or "auto 60%".

    Args:
        text: the color; "auto" is the contrast to the ground.
        ground: color of what it is drawn on.

    Raises:
        ColorParseError: it is no color.
    """
    word, _, strength = text.partition(" ")
    share = float(strength.rstrip("%")) / 100 if strength.endswith("%") else 1.0
    return ground.get_contrast_text(share) if word == "auto" else Color.parse(word).multiply_alpha(share)
