"""Reduces what Textual writes to what the terminal does not show already.

Textual paints whole widgets: a change of focus or a new title sends every cell of two panels, each with all of its
attributes. Over SSH these bytes are what the user waits for. Here every frame is compared with the cells that the
terminal shows; only cells that differ are sent, and of their attributes only those that change.

Whatever else is written to the terminal (pictures, another screen) makes its cells unknown, and they are sent again
when Textual paints them next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from rich.cells import cell_len, get_character_cell_size

# What a frame consists of: moves, attributes, text, and line ends, which mean nothing because every line is moved to.
_TOKEN = re.compile(r"\x1b\[(\d+);(\d+)H|\x1b\[([\d;]*)m|\r?\n|([^\x1b\r\n]+)|(.)", re.DOTALL)
_BRIDGED = 4  # unchanged cells between two changed ones that cost less than a move
_UNKNOWN = ""  # style of a cell that may show anything; a known one is never empty
_PLAIN = "0"


@dataclass(frozen=True)
class _Look:
    """Attributes of a cell: those of the text, its color, and the color behind it, as parameters of SGR."""

    attributes: frozenset[str]
    ink: str
    ground: str


class _NotAFrame(Exception):
    """The text does more than moving, styling and writing."""


class ScreenDiff:
    """Knows what a terminal shows, as far as it went through `reduce`."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[list[str], list[str]]] = {}
        self._cursor: tuple[int, int] | None = None
        self._style = _UNKNOWN

    def forget(self) -> None:
        """Note that something else was written, or that the size has changed: no cell is known."""
        self._rows.clear()
        self._cursor, self._style = None, _UNKNOWN

    def reduce(self, frame: str) -> str:
        """The shortest way to the same screen.

        Args:
            frame: what would be written. Text that is no frame is returned as it is, and makes all cells unknown.
        """
        try:
            dirty, end = self._take(frame)
        except _NotAFrame:
            self.forget()
            return frame
        parts = [
            self._written(row, begin, stop) for row in sorted(dirty) for begin, stop in self._merged(row, dirty[row])
        ]
        if parts and end is not None and end != self._cursor:
            parts.append(f"\x1b[{end[0] + 1};{end[1] + 1}H")
            self._cursor = end
        return "".join(parts)

    def _take(self, frame: str) -> tuple[dict[int, list[tuple[int, int]]], tuple[int, int] | None]:
        """Note the frame's cells. Returns the changed spans of each row, and where the cursor is left."""
        dirty: dict[int, list[tuple[int, int]]] = {}
        place: tuple[int, int] | None = None
        style = _PLAIN
        for found in _TOKEN.finditer(frame):
            row, column, codes, text, other = found.groups()
            if other is not None:
                raise _NotAFrame
            if row is not None:
                place = int(row) - 1, int(column) - 1
            elif codes is not None:
                style = _PLAIN if codes in ("", "0") else codes if style == _PLAIN else f"{style};{codes}"
            elif text is not None:
                if place is None:
                    raise _NotAFrame
                width = self._put(place, text, style, dirty)
                place = place[0], place[1] + width
        return dirty, place

    def _put(self, place: tuple[int, int], text: str, style: str, dirty: dict[int, list[tuple[int, int]]]) -> int:
        """Write text into the known cells; note the span from the first to the last one that differs."""
        row, begin = place
        cells = list(text) if cell_len(text) == len(text) else list(_cells_of(text))
        width = len(cells)
        chars, styles = self._rows.setdefault(row, ([], []))
        missing = max(0, begin + width - len(chars))
        chars += [" "] * missing
        styles += [_UNKNOWN] * missing
        end = begin + width
        if chars[begin:end] == cells and styles[begin:end] == [style] * width:
            return width
        first = next(at for at in range(width) if chars[begin + at] != cells[at] or styles[begin + at] != style)
        last = next(
            at for at in range(width - 1, -1, -1) if chars[begin + at] != cells[at] or styles[begin + at] != style
        )
        spans = dirty.setdefault(row, [])
        sofar = first
        for at in range(first, last + 1):
            if chars[begin + at] == cells[at] and styles[begin + at] == style:
                if sofar < at:
                    spans.append((begin + sofar, begin + at))
                sofar = at + 1
        spans.append((begin + sofar, begin + last + 1))
        # Half a wide character is left: what the terminal makes of it is not known.
        if chars[begin] == "" and begin > 0:
            styles[begin - 1] = _UNKNOWN
        if end < len(chars) and chars[end] == "":
            styles[end] = _UNKNOWN
        chars[begin:end] = cells
        styles[begin:end] = [style] * width
        return width

    def _merged(self, row: int, spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """Spans in their order; those that nearly touch are one, unless what is between them is unknown."""
        styles = self._rows[row][1]
        begin, end = -1, -1
        for first, last in sorted(spans):
            if end >= 0 and first <= end + _BRIDGED and _UNKNOWN not in styles[end:first]:
                end = max(end, last)
                continue
            if end >= 0:
                yield begin, end
            begin, end = first, last
        if end >= 0:
            yield begin, end

    def _written(self, row: int, begin: int, end: int) -> str:
        """The sequence that draws known cells of a row."""
        chars, styles = self._rows[row]
        # A wide character is written from its first cell.
        while begin > 0 and chars[begin] == "":
            begin -= 1
        parts = [] if self._cursor == (row, begin) else [f"\x1b[{row + 1};{begin + 1}H"]
        at = begin
        while at < end:
            style, stop = styles[at], at
            while stop < end and styles[stop] == style:
                stop += 1
            parts += [_change(self._style, style), "".join(chars[at:stop])]
            self._style = style
            at = stop
        self._cursor = row, end
        return "".join(parts)


def _cells_of(text: str) -> Iterator[str]:
    """One string per cell: the second cell of a wide character is empty, what combines is with its character."""
    cells: list[str] = []
    for char in text:
        width = get_character_cell_size(char)
        if width == 0:
            if not cells:
                raise _NotAFrame
            at = -2 if len(cells) > 1 and cells[-1] == "" else -1
            cells[at] += char
        else:
            cells += [char, *[""] * (width - 1)]
    return iter(cells)


@lru_cache(maxsize=4096)
def _change(before: str, after: str) -> str:
    """The shortest sequence from one style to another."""
    if before == after:
        return ""
    if after == _PLAIN:
        return "\x1b[0m"
    new = _look(after)
    old = _look(before) if before != _UNKNOWN else None
    if old is None or not old.attributes <= new.attributes:
        # An attribute can't be taken away alone on every terminal.
        return f"\x1b[0;{after}m"
    codes = sorted(new.attributes - old.attributes)
    codes += [new.ink or "39"] if new.ink != old.ink else []
    codes += [new.ground or "49"] if new.ground != old.ground else []
    return f"\x1b[{';'.join(codes)}m" if codes else ""


@lru_cache(maxsize=4096)
def _look(style: str) -> _Look:
    """Take a style apart.

    Formats: ECMA-48, section 8.3.117 (SGR), and 38 or 48 with 5;N or 2;R;G;B as in xterm's control sequences.
    """
    attributes: set[str] = set()
    ink = ground = ""
    codes = iter(style.split(";"))
    for code in codes:
        if code in ("38", "48"):
            kind = next(codes, "")
            rest = [next(codes, "") for _ in range({"5": 1, "2": 3}.get(kind, 0))]
            color = ";".join([code, kind, *rest])
            ink, ground = (color, ground) if code == "38" else (ink, color)
        elif code == "0" or not code:
            attributes.clear()
            ink = ground = ""
        elif code == "39":
            ink = ""
        elif code == "49":
            ground = ""
        elif len(code) > 1 and code[:-1] in ("3", "9"):
            ink = code
        elif len(code) > 1 and code[:-1] in ("4", "10"):
            ground = code
        else:
            attributes.add(code)
    return _Look(frozenset(attributes), ink, ground)
