"""The lines of the log: events of a run, messages of the studio, and what was printed."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...drawing import left, name, prose
from ..event_levels import GLYPHS, TONES, Level, event_level
from .event_reasons import why
from .event_text import event_line

_TIME_CELLS, _KIND_CELLS = 8, 9
# What a program prints about its own problems. A traceback's last line names the exception.
_ERRORS = re.compile(
    r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt)\b(?::|$)"
    r"|^Traceback |\b(?:ERROR|CRITICAL|FATAL)\b|Segmentation fault"
)
_WARNINGS = re.compile(r"\bWARN(?:ING)?\b|^\s*\w*Warning:|: \w*Warning:")


@dataclass(frozen=True)
class LogLine:
    """One line of the log.

    Attributes:
        at: seconds since 1970; None if the source does not say.
        level: how much it matters.
        kind: who says it: the kind of an event, or empty.
        text: what it says, as plain text.
        more: what else is known of it, such as the step.
        why: the reason of an alert or advice, and what helps; empty for the others.
    """

    at: float | None
    level: Level
    kind: str
    text: str
    more: str = ""
    why: str = ""

    @property
    def is_problem(self) -> bool:
        """Whether it is more than information."""
        return self.level != "info"


def log_lines(events: Sequence[dict[str, Any]]) -> list[LogLine]:
    """The events of a run, oldest first."""
    lines = []
    for event in events:
        kind = str(event.get("kind"))
        at = event.get("time")
        step = f"step {event['step']:,}" if isinstance(event.get("step"), int) else ""
        moment = float(at) if isinstance(at, int | float) else None
        lines.append(LogLine(moment, event_level(event), kind.replace("_", " "), event_line(event), step, why(event)))
    return lines


def printed_lines(lines: Sequence[str]) -> list[LogLine]:
    """Lines that a program printed; what looks like a warning or an error is one."""
    return [LogLine(None, printed_level(line), "", line) for line in lines]


def printed_level(line: str) -> Level:
    """How much a printed line matters, by the words in it."""
    if _ERRORS.search(line):
        return "error"
    return "warning" if _WARNINGS.search(line) else "info"


def log_row(line: LogLine, width: int, *, found: str = "") -> str:
    """A line of the log as markup: time and kind muted, the text in full strength, a problem in its color.

    Args:
        line: the line.
        width: cells.
        found: text that is searched for, shown in the color of matches.
    """
    when = clock(line.at)
    head = f"[$text-disabled]{left(when, _TIME_CELLS)}[/] " if line.at is not None else ""
    kind = f"[$series-7]{left(line.kind, _KIND_CELLS)}[/] " if line.kind else ""
    used = (_TIME_CELLS + 1 if head else 0) + (_KIND_CELLS + 1 if kind else 0) + 2
    tone = TONES[line.level] if line.is_problem else "$text"
    text = name(line.text, max(8, width - used))
    if found and (at := text.casefold().find(found.casefold())) >= 0:
        end = at + len(found)
        text = f"{text[:at]}[b $text-primary]{text[at:end]}[/]{text[end:]}"
    return f"{head}[{TONES[line.level]}]{GLYPHS[line.level]}[/] {kind}[{tone}]{text}[/]"


def full_lines(line: LogLine, width: int) -> list[str]:
    """A line of the log in full, with its time to the millisecond."""
    facts = [f"[b]{clock(line.at, milliseconds=True)}[/]"] if line.at is not None else []
    facts += [f"[$series-7]{name(line.kind)}[/]"] if line.kind else []
    facts += [f"[$text-muted]{name(line.more)}[/]"] if line.more else []
    glyph = f"[{TONES[line.level]}]{GLYPHS[line.level]}[/] " if line.is_problem else ""
    head = [glyph + "  ".join(facts), ""] if facts or glyph else []
    reason = ["", "[b]Why, and what helps[/]", *(f"[$text-muted]{each}[/]" for each in prose(line.why, width))]
    return [*head, *prose(line.text, width), *(reason if line.why else [])]


def clock(at: float | None, *, milliseconds: bool = False) -> str:
    """A moment as local time of day; empty if unknown."""
    if at is None:
        return ""
    text = time.strftime("%H:%M:%S", time.localtime(at))
    return f"{text}.{int(at * 1000) % 1000:03d}" if milliseconds else text
