"""An emulator of a terminal with kitty graphics, written from the protocol's page."""

from __future__ import annotations

import base64
import io
import re
import unicodedata
from dataclasses import dataclass, field

import numpy as np
from PIL import Image
from rich.cells import cell_len
from textual.strip import Strip

from torchdeck.tui.graphics.kitty import DIACRITICS

PLACEHOLDER = 0x10EEEE


@dataclass
class KittyTerminal:
    """The images that a terminal holds, and the number of bytes that were sent."""

    images: dict[int, np.ndarray] = field(default_factory=dict)
    placements: dict[int, tuple[int, int]] = field(default_factory=dict)
    transmissions: int = 0
    _keys: dict[str, str] = field(default_factory=dict)
    _data: str = ""

    def take(self, sequences: str) -> None:
        """Execute commands; fails on anything else between them."""
        commands = re.findall(r"\x1b_G([^;\x1b]*)(?:;([^\x1b]*))?\x1b\\", sequences)
        assert re.sub(r"\x1b_G[^\x1b]*\x1b\\", "", sequences) == ""
        for control, data in commands:
            keys = dict(pair.split("=") for pair in control.split(","))
            assert keys["q"] == "2"
            assert len(data) <= 4096
            if keys.get("a") == "d":
                assert keys["d"] == "I"
                del self.images[int(keys["i"])], self.placements[int(keys["i"])]
            elif keys.get("a") == "p":
                assert int(keys["i"]) in self.images
                self._place(keys)
            else:
                self._keys = self._keys or keys
                self._data += data
                if keys["m"] == "0":
                    self._finish()

    def _finish(self) -> None:
        keys, self._keys = self._keys, {}
        data, self._data = self._data, ""
        assert (keys["a"], keys["f"], keys["t"]) == ("T", "100", "d")
        self.images[int(keys["i"])] = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        self.transmissions += 1
        self._place(keys)

    def _place(self, keys: dict[str, str]) -> None:
        assert (keys["U"], keys["p"]) == ("1", "1")
        self.placements[int(keys["i"])] = int(keys["c"]), int(keys["r"])


@dataclass(frozen=True)
class DrawnCell:
    """A placeholder on the screen: the image that it draws, and the cell of that image."""

    image: int
    row: int
    column: int


def drawn_cells(strips: list[Strip], *, truecolor: bool = True) -> dict[tuple[int, int], DrawnCell]:
    """The placeholders of a screen by their line and column."""
    found = {}
    for y, strip in enumerate(strips):
        x = 0
        for text, style, _ in strip:
            for cell in cells_of(text):
                if ord(cell[0]) == PLACEHOLDER:
                    color = style.color
                    low = int.from_bytes(bytes(color.triplet), "big") if truecolor else cube_number(color.triplet)
                    row, column, *high = map(DIACRITICS.index, cell[1:])
                    found[y, x] = DrawnCell(low + (high[0] << 24 if high else 0), row, column)
                x += cell_len(cell)
    return found


def cells_of(text: str) -> list[str]:
    """Characters with their combining characters."""
    cells: list[str] = []
    for character in text:
        if unicodedata.combining(character):
            cells[-1] += character
        else:
            cells.append(character)
    return cells


def cube_number(triplet: tuple[int, int, int]) -> int:
    """The number of a color in the 6x6x6 cube of the 256-color palette."""
    red, green, blue = ((0, 95, 135, 175, 215, 255).index(level) for level in triplet)
    return 16 + 36 * red + 6 * green + blue
