"""Text that draws: bars, traces, areas, and words that line up. All of it is Textual markup over theme variables."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from textwrap import wrap

from rich.cells import cell_len, set_cell_size

from .plain_text import printable

UNKNOWN = "[$text-disabled]–[/]"
"""What stands where there is no value."""

_BEFORE_BRACKET = re.compile(r"\\+(?=\[|\Z)")

# Dots of a braille cell's left and right column, from the lowest, as bits over U+2800.
_LEFT_DOTS, _RIGHT_DOTS = (0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08)
_BRAILLE = 0x2800


def short_count(count: float) -> str:
    """A number of things in at most five cells: 812, 5,130, 14.2k, 60k, 25.6M, 1.82G."""
    if count < 9999.5:
        return f"{count:,.0f}"
    for unit in ("k", "M", "G", "T"):
        count /= 1000
        if count < 999.5:
            return f"{count:.3g}{unit}"
    return f"{count / 1000:.3g}P"


def escape(text: str) -> str:
    """Text that markup shows as it is.

    A backslash before a bracket has no notation in markup, so the reverse solidus of mathematics stands for it.
    """
    return _BEFORE_BRACKET.sub(lambda found: "⧵" * len(found[0]), text).replace("[", "\\[")


def name(text: str, width: int = 0) -> str:
    """A name from a file, a user or a run, safe within markup: one line, cut with … if it is longer than `width`."""
    plain = printable(text)
    if width and cell_len(plain) > width:
        plain = set_cell_size(plain, max(0, width - 1)) + "…" * (width > 0)
    return escape(plain)


def left(text: str, width: int) -> str:
    """Plain text in exactly `width` cells, cut with … where it is too long."""
    plain = printable(text)
    if cell_len(plain) > width:
        plain = set_cell_size(plain, max(0, width - 1)) + "…" * (width > 0)
    return escape(set_cell_size(plain, width))


def right(text: str, width: int) -> str:
    """Like `left`, but aligned to the right, for numbers."""
    plain = printable(text)
    return left(plain, width) if cell_len(plain) >= width else " " * (width - cell_len(plain)) + escape(plain)


def cells(markup: str) -> int:
    """Width of a line of markup."""
    # The shell's commands write some of these texts too, without Textual.
    from textual.content import Content

    return Content.from_markup(markup).cell_length


def fits(head: str, tail: str, width: int) -> str:
    """The head, with the tail only if both have room: a note is shown whole or not at all."""
    return head + tail if cells(head + tail) <= width else head


def ends(start: str, end: str, width: int) -> str:
    """Two pieces of markup at the two ends of a line; the second is left out if there is no room for both."""
    gap = width - cells(start) - cells(end)
    return f"{start}{' ' * gap}{end}" if gap >= 1 else start


def prose(text: str, width: int) -> list[str]:
    """Plain text in lines of at most `width` cells."""
    lines = [line for part in text.splitlines() for line in (wrap(printable(part, 100_000), max(8, width)) or [""])]
    return [escape(line) for line in lines]


def marked(mark: str, text: str, width: int, tone: str = "") -> list[str]:
    """Plain text in lines of at most `width` cells, a mark before the first, and the others under its words.

    Args:
        mark: markup, usually a glyph in its color.
        text: plain text; empty for no lines.
        width: cells, the mark included.
        tone: style of the words; empty for that of the text around.
    """
    indent = " " * cells(mark)
    lines = [f"[{tone}]{line}[/]" if tone else line for line in prose(text, width - len(indent) - 1)]
    return [f"{indent if at else mark} {line}" for at, line in enumerate(lines)]


def rule(title: str, width: int) -> str:
    """A heading between rows."""
    return f"[$text-disabled]{name(title)} [/][$frame]{'─' * max(0, width - cell_len(title) - 1)}[/]"


def pair(label: str, value: str, width: int, *, note: str = "", room: int = 10_000) -> str:
    """A muted label of `width` cells and its value in markup; a plain note behind it if it fits into `room` cells."""
    tail = f"  [$text-disabled]{name(note)}[/]" if note else ""
    return fits(f"[$text-muted]{left(label, width)}[/] {value}", tail, room)


def bar(share: float, width: int, color: str = "$primary") -> str:
    """A thin bar over its track, half a cell fine; an unknown share is an empty track."""
    known = share if math.isfinite(share) else 0.0
    full, half = divmod(round(max(0.0, min(1.0, known)) * width * 2), 2)
    return f"[{color}]{'━' * full}{'╸' * half}[/][$track]{'━' * (width - full - half)}[/]"


def stacked(parts: Sequence[tuple[float, str]], width: int) -> str:
    """One bar of several shares, each with its color."""
    total = sum(share for share, _ in parts) or 1.0
    drawn, begin, sofar = "", 0, 0.0
    for share, color in parts:
        sofar += share
        end = round(sofar / total * width)
        drawn += f"[{color}]{'━' * (end - begin)}[/]" if end > begin else ""
        begin = end
    return drawn


def busy(share: float) -> str:
    """Color of a device's utilization: a busy one is what is wanted."""
    return "$success" if share >= 0.7 else "$warning"


ROOMY = "$series-4"
"""Color of what may run out, while there is room."""


def full(share: float) -> str:
    """Color of what may run out: memory, disk."""
    return ROOMY if share < 0.85 else "$warning" if share < 0.95 else "$error"


def trace(values: Sequence[float], width: int, height: int = 1, color: str = "$series-1") -> list[str]:
    """A line in braille, two values per cell, joined vertically; values that are not finite are gaps.

    Args:
        values: values in their order; several per dot are averaged.
        width: cells.
        height: lines.
        color: theme variable.
    """
    finite = [value for value in values if math.isfinite(value)]
    if not finite or width <= 0:
        return [""] * height
    # Halves, because the difference of two finite values may be infinite.
    low, high = min(finite) / 2, max(finite) / 2
    tall = 4 * height
    span = high - low or 1.0
    levels = [
        None if mean is None else round((mean / 2 - low) / span * (tall - 1)) for mean in _means(values, 2 * width)
    ]
    grid = [[_BRAILLE] * width for _ in range(height)]
    before: int | None = None
    for at, level in enumerate(levels):
        if level is not None:
            for dot in _joined(before, level):
                grid[height - 1 - dot // 4][at // 2] |= (_LEFT_DOTS, _RIGHT_DOTS)[at % 2][dot % 4]
        before = level
    return [f"[{color}]{''.join(map(chr, row))}[/]" for row in grid]


def _means(values: Sequence[float], count: int) -> list[float | None]:
    """The mean of each of `count` equal parts; None where no value is finite."""
    means: list[float | None] = []
    for at in range(count):
        begin = at * len(values) // count
        part = [
            value for value in values[begin : max(begin + 1, (at + 1) * len(values) // count)] if math.isfinite(value)
        ]
        # Rounding may bring a mean of large values beyond all of them.
        means.append(max(min(part), min(max(part), sum(value / len(part) for value in part))) if part else None)
    return means


def _joined(before: int | None, level: int) -> set[int]:
    """The dots from a level to the next one, so that a steep line has no gaps."""
    if before is None or abs(level - before) <= 1:
        return {level}
    step = 1 if level > before else -1
    return set(range(level, before, -step))


def area(values: Sequence[float], width: int, height: int, colors: Sequence[str], top: float = 1.0) -> list[str]:
    """A filled history in braille, two values per cell, the newest at the right.

    Args:
        values: values from 0 to `top`, oldest first.
        width: cells.
        height: lines.
        colors: theme variables, from the lowest line to the highest.
        top: value that fills the height.
    """
    shown = [value if math.isfinite(value) else 0.0 for value in values][-2 * width :]
    shown = [0.0] * (2 * width - len(shown)) + shown
    levels = [round(max(0.0, min(1.0, value / top)) * height * 4) for value in shown]
    lines = []
    for row in range(height - 1, -1, -1):
        codes = [_BRAILLE] * width
        for at, level in enumerate(levels):
            for dot in range(max(0, min(4, level - row * 4))):
                codes[at // 2] |= (_LEFT_DOTS, _RIGHT_DOTS)[at % 2][dot]
        drawn = "".join(" " if code == _BRAILLE else chr(code) for code in codes)
        lines.append(f"[{colors[min(len(colors) - 1, row * len(colors) // height)]}]{drawn}[/]")
    return lines
