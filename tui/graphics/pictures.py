"""The pictures of one widget, drawn with the graphics that the terminal supports."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol

from rich.segment import Segment
from rich.style import Style
from textual.geometry import NULL_OFFSET, Offset, Region

from . import iterm, kitty, sixel
from .blocks import quadrant_blocks
from .graphics import Graphics
from .pixels import as_rgb, fitted_size, for_scaling, png, resized

if TYPE_CHECKING:
    import numpy as np

# Maximum width and height of a picture that is sent, in pixels: a page of photographs stays within a few megabytes,
# which take seconds over a connection of 10 Mbit/s.
LONGEST = 320


class Pictures(Protocol):
    """The pictures of one widget. During layout, the widget calls `lines` for each picture, then `settle` once."""

    @property
    def aspect(self) -> float:
        """Height of a character cell in its widths."""

    def lines(self, pixels: np.ndarray, box: Region) -> list[list[Segment]]:
        """Return the cells of an image, placed in the upper left corner of a box and no larger than it.

        Args:
            pixels: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].
            box: region of the widget's content, in cells.
        """

    def settle(self) -> None:
        """End a layout: release every picture that it did not use."""


class BlockPictures:
    """Pictures made of quadrant blocks."""

    @property
    def aspect(self) -> float:
        """2: half a cell counts as a square."""
        return 2.0

    def lines(self, pixels: np.ndarray, box: Region) -> list[list[Segment]]:
        """Return quadrant blocks, four pixels per cell."""
        return quadrant_blocks(pixels, box.width, box.height)

    def settle(self) -> None:
        """Do nothing: blocks hold no resources."""


class KittyPictures:
    """Pictures that the terminal stores and draws where cells name them. Each is sent only once."""

    def __init__(self, graphics: Graphics) -> None:
        self._graphics = graphics
        self._sent: dict[bytes, tuple[int, tuple[int, int]]] = {}
        self._used: set[bytes] = set()

    @property
    def aspect(self) -> float:
        """Aspect ratio of the terminal's font."""
        return self._graphics.cell_aspect

    def lines(self, pixels: np.ndarray, box: Region) -> list[list[Segment]]:
        """Return placeholders of the image; send the image first if the terminal does not hold it."""
        rgb = as_rgb(pixels)
        height, width, columns, rows = _placed(rgb, box, self._graphics.cell)
        rows = min(rows, len(kitty.DIACRITICS))
        image = self._image(for_scaling(rgb, height, width, LONGEST), columns, rows)
        style = Style(color=kitty.color_of(image, truecolor=self._graphics.is_truecolor))
        return [[Segment(kitty.placeholders(image, row, columns), style)] for row in range(rows)]

    def settle(self) -> None:
        """Delete the images that are no longer shown from the terminal."""
        gone = self._sent.keys() - self._used
        self._graphics.delete_images([self._sent.pop(key)[0] for key in gone])
        self._used.clear()

    def _image(self, rgb: np.ndarray, columns: int, rows: int) -> int:
        key = _digest(rgb)
        self._used.add(key)
        if key not in self._sent:
            self._sent[key] = self._graphics.send_image(png(rgb), columns, rows), (columns, rows)
        image, size = self._sent[key]
        if size != (columns, rows):
            self._graphics.place_image(image, columns, rows)
            self._sent[key] = image, (columns, rows)
        return image


class OverlayPictures:
    """Pictures drawn over blocks, with sixel or iTerm2's inline images.

    Any text written to their cells erases them, so they are redrawn after such a frame. Where a dialog or a
    notification covers part of a picture, the picture is not drawn and the blocks stay.
    """

    def __init__(self, graphics: Graphics, background: Callable[[], tuple[int, int, int]]) -> None:
        """Start without pictures.

        Args:
            graphics: graphics of the terminal.
            background: color around a picture, for cells that it does not fill.
        """
        self._graphics = graphics
        self._background = background
        self._boxes: dict[Region, bytes] = {}
        self._laid_out: dict[Region, bytes] = {}
        self._canvases: dict[bytes, np.ndarray] = {}
        self._encoded: dict[bytes, str] = {}
        self._touched: set[Region] = set()

    @property
    def aspect(self) -> float:
        """Aspect ratio of the terminal's font."""
        return self._graphics.cell_aspect

    def lines(self, pixels: np.ndarray, box: Region) -> list[list[Segment]]:
        """Return the blocks that the picture will cover."""
        rgb = as_rgb(pixels)
        cell_width, cell_height = self._graphics.cell
        height, width, columns, rows = _placed(rgb, box, self._graphics.cell)
        key = _digest(rgb, (height, width, columns, rows, *self._background()))
        if key not in self._encoded:
            self._canvases[key] = self._canvas(rgb, (height, width), (rows * cell_height, columns * cell_width))
        self._laid_out[Region(box.x, box.y, columns, rows)] = key
        return quadrant_blocks(rgb, columns, rows)

    def settle(self) -> None:
        """End a layout: its pictures are drawn from the next frame on."""
        self._boxes, self._laid_out = self._laid_out, {}
        used = set(self._boxes.values())
        self._encoded = {key: sequence for key, sequence in self._encoded.items() if key in used}
        self._canvases = {key: canvas for key, canvas in self._canvases.items() if key in used}
        self._touched.clear()

    def next_to_encode(self) -> Callable[[], Region] | None:
        """A function that encodes one more picture, in any thread, and returns its region; None if all are encoded."""
        for box, key in self._boxes.items():
            if key not in self._encoded:
                return partial(self._encode, box, key, self._canvases[key])
        return None

    def touch(self, written: Sequence[Region], origin: Offset = NULL_OFFSET) -> bool:
        """Note that cells were written. Returns whether a picture lost cells and must be redrawn.

        Args:
            written: regions of the screen.
            origin: position of the content on the screen.
        """
        lost = {
            box
            for box, key in self._boxes.items()
            if key in self._encoded and any(region.overlaps(box.translate(origin)) for region in written)
        }
        self._touched |= lost
        return bool(lost)

    def draw(self, origin: Offset, is_free: Callable[[Region], bool]) -> None:
        """Draw the pictures whose cells were written.

        Args:
            origin: position of the content on the screen.
            is_free: function that says whether nothing covers a region of the screen.
        """
        touched, self._touched = self._touched, set()
        for box in sorted(touched & self._boxes.keys()):
            region = box.translate(origin)
            if is_free(region):
                at = f"\x1b7\x1b[{region.y + 1};{region.x + 1}H"
                self._graphics.write(f"{at}{self._encoded[self._boxes[box]]}\x1b8")

    def _encode(self, box: Region, key: bytes, canvas: np.ndarray) -> Region:
        if self._graphics.support.way == "sixel":
            self._encoded[key] = sixel.encode(canvas)
        else:
            self._encoded[key] = iterm.encode(png(canvas), box.width, box.height)
        return box

    def _canvas(self, rgb: np.ndarray, size: tuple[int, int], whole: tuple[int, int]) -> np.ndarray:
        """Place a picture in the upper left corner of a canvas of whole cells."""
        import numpy as np

        height, width = rgb.shape[:2]
        small = resized(rgb, *fitted_size(height, width, LONGEST, LONGEST)) if max(height, width) > LONGEST else rgb
        canvas = np.full((*whole, 3), self._background(), dtype=np.uint8)
        canvas[: size[0], : size[1]] = resized(small, *size)
        return canvas


def _placed(rgb: np.ndarray, box: Region, cell: tuple[int, int]) -> tuple[int, int, int, int]:
    """Fit an image into a box of cells. Returns height and width in pixels, then columns and rows."""
    cell_width, cell_height = cell
    height, width = fitted_size(rgb.shape[0], rgb.shape[1], box.height * cell_height, box.width * cell_width)
    return height, width, -(-width // cell_width), -(-height // cell_height)


def _digest(rgb: np.ndarray, more: tuple[int, ...] = ()) -> bytes:
    return hashlib.blake2b(rgb.tobytes() + repr((rgb.shape, more)).encode(), digest_size=16).digest()


def pictures_for(graphics: Graphics, background: Callable[[], tuple[int, int, int]]) -> Pictures:
    """Create the pictures of a widget for the terminal's graphics."""
    if graphics.support.way == "kitty":
        return KittyPictures(graphics)
    return BlockPictures() if graphics.support.way == "blocks" else OverlayPictures(graphics, background)
