"""What the verbs print: one JSON document, or the studio's markup in the colors of the terminal."""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import IO, Any

from rich.text import Text

# DEL and C1 controls, marks that change the direction of text, lone surrogates. json escapes the C0 controls itself.
_UNPRINTABLE = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")

# Styles of the markup, and theme variables in it, as Rich names them for a shell.
_STYLES = {
    "b": "bold",
    "$error": "red",
    "$warning": "yellow",
    "$success": "green",
    "$best": "yellow",
    "$text-muted": "dim",
    "$text-disabled": "dim",
    "$track": "dim",
    "$series-1": "bright_blue",
    "$series-2": "yellow",
    "$series-4": "magenta",
    "$series-5": "green",
    "$series-6": "bright_magenta",
    "$series-7": "cyan",
}
_BACKGROUND = re.compile(r"on (\$\w+) (\d+)%")


def print_json(document: Any, file: IO[str] | None = None) -> None:
    """Print one JSON document. Numbers that JSON lacks (NaN, infinity) become null; a dataclass becomes an object.

    Characters that control a terminal, and bytes of a file's name that are not valid text, get JSON escapes.
    """
    text = json.dumps(_plain(document), ensure_ascii=False, indent=2)
    print(_UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", text), file=file)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value):
        return {part.name: _plain(getattr(value, part.name)) for part in fields(value)}
    return value


def printed(markup: str) -> Text:
    """The markup that the studio shows, with the colors of the terminal in place of those of a theme."""
    from textual.content import Content

    content = Content.from_markup(markup)
    text = Text(content.plain)
    for span in content.spans:
        text.stylize(_style(str(span.style)), span.start, span.end)
    return text


def _style(style: str) -> str:
    if found := _BACKGROUND.search(style):
        level = round(50 + 1.3 * int(found[2]))
        return f"white on rgb(0,{level},20)" if found[1] == "$success" else f"white on rgb({level},20,20)"
    return " ".join(_STYLES.get(word, "") for word in style.split()).strip()
