"""Questions to a terminal about its graphics, and its answers, which arrive among the user's key presses.

Nothing waits for an answer: the screen is drawn without it and redrawn when it arrives. Every terminal answers the
last question, so a question that is still open by then will never be answered.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

# Kitty's "can you show this pixel?", the terminal's name (XTVERSION), its background (OSC 11), the size of a cell in
# pixels, and its abilities (DA1), of which 4 is sixel graphics.
QUESTIONS = "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\" + "\x1b[>0q" + "\x1b]11;?\x1b\\" + "\x1b[16t" + "\x1b[c"

_ANSWER = re.compile(
    r"\x1b_G(?P<kitty>[^\x1b]*)\x1b\\"
    r"|\x1bP>\|(?P<name>[^\x1b\x07]*)\x1b\\"
    r"|\x1b\]11;rgb:(?P<background>[0-9a-fA-F]{1,4}/[0-9a-fA-F]{1,4}/[0-9a-fA-F]{1,4})(?:\x07|\x1b\\)"
    r"|\x1b\[6;(?P<height>\d+);(?P<width>\d+)t"
    r"|\x1b\[\?(?P<abilities>[\d;]*)c"
)
# Prefixes of an answer. A prefix that only a terminal sends is held longer than one that may also be the Escape key,
# or Alt with another key.
_BEGUN = re.compile(
    r"\x1b(?:_G[^\x1b]*\x1b?|\]11;[^\x1b\x07]*\x1b?|P>(?:\|[^\x1b\x07]*\x1b?)?|\[\?[\d;]*|\[6;[\d;]*)\Z"
)
_PERHAPS_BEGUN = re.compile(r"\x1b(?:[_P]|\](?:1(?:1)?)?|\[6?)?\Z")
_EXPECTED_FOR = 10.0  # seconds
_REST_EXPECTED_FOR = 1.0  # seconds
_LONGEST = 1024


@dataclass(frozen=True)
class Answers:
    """A terminal's answers about itself.

    Attributes:
        kitty: whether it supports kitty graphics.
        name: name and version that it reports; empty if none.
        cell: width and height of a character cell in pixels; None if it does not report them.
        sixel: whether it supports sixel graphics.
        is_light: whether its background is light; None if it does not say.
        is_complete: whether it has answered the last question.
    """

    kitty: bool = False
    name: str = ""
    cell: tuple[int, int] | None = None
    sixel: bool = False
    is_light: bool | None = None
    is_complete: bool = False


class AnswerFilter:
    """Separates answers from the user's input. An answer may arrive in pieces, late, or between two keys."""

    def __init__(self, on_complete: Callable[[Answers], None]) -> None:
        """Create the filter; no question has been asked.

        Args:
            on_complete: called with all answers once the last question is answered, in the thread that calls `feed`.
        """
        self.answers = Answers()
        self._on_complete = on_complete
        self._held = ""
        self._held_at = 0.0
        self._expected_until = 0.0

    def expect(self) -> None:
        """Note that the questions are being sent."""
        self.answers = Answers()
        self._expected_until = time.monotonic() + _EXPECTED_FOR

    def feed(self, text: str) -> str:
        """Return the input without answers. A partial answer is held back."""
        if "\x1b" not in text and not self._held:
            return text
        text, self._held = self._held + text, ""
        text = _ANSWER.sub(self._take, text)
        is_expected = time.monotonic() < self._expected_until
        begun = _BEGUN.search(text) or (_PERHAPS_BEGUN.search(text) if is_expected else None)
        if begun is None or len(begun.group()) > _LONGEST:
            return text
        self._held, self._held_at = begun.group(), time.monotonic()
        return text[: begun.start()]

    def release(self) -> str:
        """Return input that was held back but did not become an answer, after 0.1 s without input."""
        if not self._held:
            return ""
        is_answer = _BEGUN.search(self._held) is not None
        if is_answer and time.monotonic() - self._held_at < _REST_EXPECTED_FOR:
            return ""
        text, self._held = self._held, ""
        # The start of an answer whose rest never arrived is not a key press.
        return "" if is_answer else text

    def _take(self, match: re.Match[str]) -> str:
        answers = self.answers
        if match["kitty"] is not None:
            answers = replace(answers, kitty=answers.kitty or match["kitty"].endswith(";OK"))
        elif match["name"] is not None:
            answers = replace(answers, name=match["name"])
        elif match["background"] is not None:
            answers = replace(answers, is_light=_is_light(match["background"]))
        elif match["height"] is not None:
            answers = replace(answers, cell=(int(match["width"]), int(match["height"])))
        else:
            answers = replace(answers, sixel="4" in match["abilities"].split(";")[1:], is_complete=True)
        self.answers = answers
        if match["abilities"] is not None:
            self._expected_until = 0.0
            self._on_complete(answers)
        return ""


def _is_light(color: str) -> bool:
    """Whether a color of X11, such as "ffff/ffff/ffff", has more than half of the luma of white (ITU-R BT.601)."""
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in color.split("/"))
    return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5
