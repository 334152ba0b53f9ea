"""Makes text from files and from user code safe to show."""

from __future__ import annotations

import re

# C0 and C1 controls, DEL, line and paragraph separators, and the marks that reorder text (bidirectional overrides).
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_NAME = 1000


def printable(text: str, longest: int = _LONGEST_NAME) -> str:
    r"""Put text on one line and write out every control character (an escape becomes `\x1b`).

    Nothing in the result can move the cursor, change colors or reverse the reading order. It may still contain
    markup of Rich or Textual, so use it in a `rich.text.Text` or a `Content`, never in a markup string.

    Args:
        text: any string.
        longest: maximum length; longer text is cut and ends in an ellipsis.
    """
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return _UNPRINTABLE.sub(_escape, text)


def printable_lines(text: str) -> str:
    """Make every line `printable` and keep the line breaks."""
    return "\n".join(map(printable, text.splitlines()))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    if short:
        return short
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
