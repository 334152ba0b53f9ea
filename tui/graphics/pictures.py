"""The pictures of one widget, in the way that the terminal shows them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region

from tui.graphics import kitty
from tui.graphics.blocks import half_blocks
from tui.graphics.graphics import Graphics
from tui.graphics.pixels import as_rgb, fitted_size, for_scaling, png

if TYPE_CHECKING:
    import numpy as np

# What is sent of one picture is at most so many pixels wide and high: a page of photographs stays within a few
# megabytes, which a connection of 10 Mbit/s carries in seconds.
LONGEST = 320


class Pictures(Protocol):
    """The pictures of one widget. A widget that lays them out asks for each in turn, and settles in the end.

    Attributes:
        aspect: height of a character cell in its widths.
    """

    aspect: float

    def lines(self, pixels: np.ndarray, box: Region) -> list[list[Segment]]:
        """The cells of an image, at most as many as the box has, from its upper left corner.

        Args:
            pixels: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].
            box: in cells of the widget's content.
        """

    def settle(self) -> None:
        """Everything that is shown has been asked for since the last time: let go of the rest."""


class BlockPictures:
    """Pictures of half blocks."""

    aspect = 2.0

    def lines(self, pixels: np.ndarray, box: Region) -> list[list[Segment]]:
        """Two pixels to a cell."""
        return half_blocks(pixels, box.width, box.height * 2)

    def settle(self) -> None:
        """There is nothing to let go of."""


class KittyPictures:
    """Pictures that the terminal holds, drawn where cells name them. Each is sent once, however often it is drawn."""

    def __init__(self, graphics: Graphics) -> None:
        self._graphics = graphics
        self._sent: dict[bytes, tuple[int, tuple[int, int]]] = {}
        self._used: set[bytes] = set()
        width, height = graphics.cell
        self.aspect = height / width

    def lines(self, pixels: np.ndarray, box: Region) -> list[list[Segment]]:
        """Placeholders of the image, which is sent if the terminal does not hold it."""
        rgb = as_rgb(pixels)
        cell_width, cell_height = self._graphics.cell
        height, width = fitted_size(rgb.shape[0], rgb.shape[1], box.height * cell_height, box.width * cell_width)
        columns, rows = -(-width // cell_width), min(-(-height // cell_height), len(kitty.DIACRITICS))
        image = self._image(for_scaling(rgb, height, width, LONGEST), columns, rows)
        style = Style(color=kitty.color_of(image, truecolor=self._graphics.is_truecolor))
        return [[Segment(kitty.placeholders(image, row, columns), style)] for row in range(rows)]

    def settle(self) -> None:
        """The terminal forgets the images that are no longer shown."""
        gone = self._sent.keys() - self._used
        self._graphics.delete_images([self._sent.pop(key)[0] for key in gone])
        self._used.clear()

    def _image(self, rgb: np.ndarray, columns: int, rows: int) -> int:
        key = hashlib.blake2b(rgb.tobytes() + repr(rgb.shape).encode(), digest_size=16).digest()
        self._used.add(key)
        if key not in self._sent:
            self._sent[key] = self._graphics.send_image(png(rgb), columns, rows), (columns, rows)
        image, size = self._sent[key]
        if size != (columns, rows):
            self._graphics.place_image(image, columns, rows)
            self._sent[key] = image, (columns, rows)
        return image


def pictures_for(graphics: Graphics) -> Pictures:
    """The pictures of a widget, in the way of the terminal."""
    return KittyPictures(graphics) if graphics.support.way == "kitty" else BlockPictures()
