"""A canvas of characters, each with an ink: axes, letters, and lines in braille dots."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

BRAILLE = 0x2800
DOTS_WIDE, DOTS_HIGH = 2, 4
"""Braille dots of a cell."""

# Bits over U+2800 of a cell's dots, from its upper to its lower row.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
_ALONE = ord("•")  # a single braille dot is easy to miss


class Canvas:
    """Characters in rows. What is put later lies on top.

    Attributes:
        codes: code points, uint32 [rows, columns].
        inks: index of each character's ink, int16 [rows, columns]; 0 for a blank.
    """

    def __init__(self, columns: int, rows: int) -> None:
        import numpy as np

        self.codes = np.full((rows, columns), ord(" "), dtype=np.uint32)
        self.inks = np.zeros((rows, columns), dtype=np.int16)

    def put(self, text: str, column: int, row: int, ink: int) -> None:
        """Write a text of characters of one cell each; what lies outside is left out."""
        rows, columns = self.codes.shape
        if not 0 <= row < rows:
            return
        for at, character in enumerate(text, start=column):
            if 0 <= at < columns:
                self.codes[row, at], self.inks[row, at] = ord(character), ink

    def fill(self, character: str, columns: slice, rows: slice, ink: int) -> None:
        """Fill an area with a character."""
        self.codes[rows, columns], self.inks[rows, columns] = ord(character), ink

    def draw_line(self, area: tuple[int, int, int, int], x: np.ndarray, y: np.ndarray, ink: int) -> None:
        """Draw a line through points. A cell that it crosses shows this line only.

        Args:
            area: left column, top row, columns and rows.
            x: positions from 0 at the left edge to 1 at the right edge, ascending, float [N].
            y: heights from 0 at the bottom to 1 at the top, float [N]; NaN for a gap. What lies outside is not drawn.
            ink: index of the ink.
        """
        import numpy as np

        left, top, columns, rows = area
        across, up = x * (columns * DOTS_WIDE - 1), y * (rows * DOTS_HIGH - 1)
        # A line to a point far outside only has to leave the area at about the right place.
        tall = rows * DOTS_HIGH
        up = np.clip(up, -4 * tall, 5 * tall)
        column, height = _dots_between(across, up)
        inside = (column >= 0) & (column < columns * DOTS_WIDE) & (height >= 0) & (height < tall)
        dots = np.zeros((tall, columns * DOTS_WIDE), dtype=bool)
        dots[tall - 1 - height[inside], column[inside]] = True
        cells = dots.reshape(rows, DOTS_HIGH, columns, DOTS_WIDE)
        codes = (cells * np.array(_BITS, dtype=np.uint32)[None, :, None, :]).sum(axis=(1, 3), dtype=np.uint32)
        window = (slice(top, top + rows), slice(left, left + columns))
        is_drawn = codes > 0
        self.codes[window][is_drawn] = BRAILLE + codes[is_drawn]
        self.inks[window][is_drawn] = ink
        for place in _alone(up):
            at, high = round(float(across[place])) // DOTS_WIDE, round(float(up[place])) // DOTS_HIGH
            if 0 <= at < columns and 0 <= high < rows:
                self.put(chr(_ALONE), left + at, top + rows - 1 - high, ink)

    def runs(self, row: int) -> list[tuple[str, int]]:
        """A row as pieces of text of one ink each."""
        import numpy as np

        inks = self.inks[row]
        text = self.codes[row].tobytes().decode("utf-32-le")
        edges = [0, *(np.flatnonzero(inks[1:] != inks[:-1]) + 1).tolist(), len(inks)]
        return [(text[begin:end], int(inks[begin])) for begin, end in pairwise(edges)]

    def changed_areas(self, before: Canvas) -> list[tuple[int, int, int]]:
        """Where a canvas of the same size differs: row, first column, and column behind the last."""
        import numpy as np

        differs = (self.codes != before.codes) | (self.inks != before.inks)
        rows = np.flatnonzero(differs.any(axis=1))
        columns = self.codes.shape[1]
        return [(int(row), int(differs[row].argmax()), columns - int(differs[row][::-1].argmax())) for row in rows]


def _dots_between(across: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The dots on the lines between neighboring points, without gaps, as columns and heights."""
    import numpy as np

    begins = np.flatnonzero(np.isfinite(up[:-1]) & np.isfinite(up[1:]))
    if not len(begins):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    wide, high = across[begins + 1] - across[begins], up[begins + 1] - up[begins]
    steps = np.ceil(np.maximum(np.abs(wide), np.abs(high))).astype(np.int64) + 1
    line = np.repeat(np.arange(len(begins)), steps)
    first = np.repeat(np.cumsum(steps) - steps, steps)
    share = (np.arange(len(line)) - first) / np.maximum(steps[line] - 1, 1)
    column = across[begins][line] + share * wide[line]
    height = up[begins][line] + share * high[line]
    return np.rint(column).astype(np.int64), np.rint(height).astype(np.int64)


def _alone(up: np.ndarray) -> list[int]:
    """Points without a neighbor to draw a line to."""
    import numpy as np

    known = np.concatenate(([False], np.isfinite(up), [False]))
    places: list[int] = np.flatnonzero(known[1:-1] & ~known[:-2] & ~known[2:]).tolist()
    return places
