"""Text from files and from other people's code, made safe to show."""

from __future__ import annotations

import re

# C0 and C1 controls, DEL, line and paragraph separators, and the marks that reorder text (bidirectional overrides).
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_LONGEST_NAME = 1000


def printable(text: str, longest: int = _LONGEST_NAME) -> str:
    r"""The text on one line with every control character written out (an escape becomes `\x1b`).

    Nothing in the result can move the cursor, change colours or reverse the reading order. It may still hold what
    Rich and Textual take for markup, so it belongs into a `rich.text.Text` or a `Content`, never into a markup string.

    Args:
        text: Any string.
        longest: Longer text is cut here and ends in an ellipsis.
    """
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    return _UNPRINTABLE.sub(_escape, text)


def printable_lines(text: str) -> str:
    """The text with its line breaks kept and every line made `printable`."""
    return "\n".join(map(printable, text.splitlines()))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    if short:
        return short
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
