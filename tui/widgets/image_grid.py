"""Small images side by side, with real pixels where the terminal has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events, work
from textual.app import RenderResult
from textual.binding import Binding, BindingType
from textual.errors import NoWidget
from textual.geometry import Region
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from ..graphics.graphics import Graphics
from ..graphics.pictures import BlockPictures, OverlayPictures, Pictures, pictures_for
from ..graphics.support import Support
from ..plain_text import printable
from ..process.terminal import TerminalApp
from ..working import Working

if TYPE_CHECKING:
    import numpy as np

SMALLEST_WIDTH = 12
LARGEST_WIDTH = 64
_LEGIBLE_WIDTH = 32
_GAP = 2
_DRAW_AFTER = 0.1  # seconds


@dataclass(frozen=True, eq=False)
class GridImage:
    """One image.

    Attributes:
        pixels: uint8, shape [H, W, C] or [H, W], with C of 1 (gray), 3 (RGB) or 4 (RGB and an ignored alpha).
        caption: one line below the image.
    """

    pixels: np.ndarray
    caption: str = ""


class ImageGrid(Working, Widget, can_focus=True):
    """Images side by side, as large as possible; if not all of them fit, as many as possible.

    They are shown with half blocks, two pixels per cell, unless the terminal can show pictures. Small images are
    enlarged to the nearest pixel, so that true pixel values are seen; larger ones are averaged down.

    Several images may form a group; they stay side by side, and the cursor moves from group to group.

    Attributes:
        shown: number of images that fit.
        cursor: index of the group under the cursor.
        way: display name of the graphics in use.
    """

    DEFAULT_CSS = """
    ImageGrid { height: 1fr; min-height: 4; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "previous sample", show=False),
        Binding("right", "move(1)", "next sample", show=False),
        Binding("up", "move_row(-1)", show=False),
        Binding("down", "move_row(1)", show=False),
        Binding("enter", "choose", "open the sample", show=False),
    ]

    @dataclass
    class Chosen(Message):
        """A group of images was chosen, with Enter or a click."""

        grid: ImageGrid
        group: int

        @property
        def control(self) -> ImageGrid:
            """The grid that sent it."""
            return self.grid

    @dataclass
    class WayChanged(Message):
        """Pictures are now shown with other graphics, because the terminal has answered."""

        grid: ImageGrid

        @property
        def control(self) -> ImageGrid:
            """The grid that sent it."""
            return self.grid

    def __init__(
        self,
        *,
        empty: str = "no images",
        group: int = 1,
        least: int | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Create a grid without images.

        Args:
            empty: text shown while there are no images.
            group: number of images per group.
            least: number of images that must fit even if they have to shrink; None for all images.
            id: id of the widget.
            classes: CSS classes of the widget.
        """
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._group = group
        self._least = least
        self._images: list[GridImage] = []
        self._strips: list[Strip] = []
        self._pictures: Pictures = BlockPictures()
        self._drawing: Timer | None = None
        self._is_behind = False
        self._columns, self._cell, self._rows = 1, 1, 1
        self.shown = 0
        self.cursor = 0
        self.way = Support().words

    @property
    def images(self) -> list[GridImage]:
        """All images, including those that do not fit."""
        return list(self._images)

    def set_images(self, images: Sequence[GridImage]) -> None:
        """Show these images in reading order.

        Raises:
            ValueError: an image is not uint8 of shape [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].
        """
        for image in images:
            _check(image.pixels)
        self._images = list(images)
        self.cursor = min(self.cursor, max(len(self._images) // self._group - 1, 0))
        self._layout_images()

    def action_move(self, step: int) -> None:
        """Move to the next or the previous group."""
        last = self.shown // self._group - 1
        if 0 <= self.cursor + step <= last:
            self._set_cursor(self.cursor + step)

    def action_move_row(self, step: int) -> None:
        """Move to the group below or above."""
        self.action_move(step * (self._columns // self._group))

    def action_choose(self) -> None:
        """Choose the group under the cursor."""
        if self._images:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Choose the group under the mouse."""
        column, row = event.x // (self._cell + _GAP), event.y // (self._rows + 2)
        at = row * self._columns + column
        if column < self._columns and at < self.shown:
            self._set_cursor(at // self._group)
            self.action_choose()

    def on_mount(self) -> None:
        """Use the terminal's graphics once they are known."""
        if isinstance(self.app, TerminalApp):
            self._take_graphics(self.app.graphics)
            self.app.graphics_changed.subscribe(self, self._take_graphics)
            self.app.written.subscribe(self, self._redraw, immediate=True)
            self.app.screen_change_signal.subscribe(self, self._take_screen, immediate=True)

    def on_unmount(self) -> None:
        """Release the pictures that the terminal holds."""
        self._pictures.settle()

    def on_focus(self) -> None:
        """Show the cursor."""
        self._set_cursor(self.cursor)

    def on_blur(self) -> None:
        """Hide the cursor."""
        self._set_cursor(self.cursor)

    def on_resize(self, event: events.Resize) -> None:
        """Lay out the images for the new size."""
        self._layout_images()

    def render(self) -> RenderResult:
        """Render nothing here; `render_line` draws everything."""
        return ""

    def render_line(self, y: int) -> Strip:
        """Return one line of the grid."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.rich_style)

    def _take_graphics(self, graphics: Graphics) -> None:
        self._pictures = pictures_for(graphics, lambda: self.background_colors[1].rgb)
        self._layout_images()
        if self.way != graphics.support.words:
            self.way = graphics.support.words
            self.post_message(self.WayChanged(self))

    def _take_screen(self, screen: Screen[object]) -> None:
        """Lay out again when a screen covers this one: dimmed colors would change the image numbers in the cells."""
        if self._is_behind != (screen is not self.screen):
            self._is_behind = not self._is_behind
            self._layout_images()

    def _layout_images(self) -> None:
        if not self.is_mounted or not self.size:
            return
        width, height = self.size
        base = self.rich_style
        self._strips = []
        self.shown = 0
        if not self._images:
            lines = [[Segment(self._empty.center(width), base + Style(dim=True))]]
        else:
            aspect = max(image.pixels.shape[0] / image.pixels.shape[1] for image in self._images)
            aspect *= 2 / self._pictures.aspect
            columns, cell, rows = _best_cell(self._wanted(aspect), aspect, (width, height), self._group)
            self._columns, self._cell, self._rows = columns, cell, rows
            fitting = columns * max(1, (height + 1) // (rows + 2))
            self.shown = min(fitting, len(self._images))
            self.cursor = min(self.cursor, max(self.shown // self._group - 1, 0))
            lines = []
            for first in range(0, self.shown, columns):
                lines += [*self._picture_lines(first, len(lines)), self._caption_line(first), []]
        if not self._is_behind:
            self._pictures.settle()
            if isinstance(self._pictures, OverlayPictures) and self._images:
                self._encode_pictures(self._pictures)
        self._strips = [self._strip(line) for line in lines[:height]]
        self.refresh()

    @work(exclusive=True)
    async def _encode_pictures(self, pictures: OverlayPictures) -> None:
        """Encode pictures one by one, and draw each at once."""
        while (encode := pictures.next_to_encode()) is not None:
            box = await asyncio.to_thread(encode)
            if pictures is not self._pictures:
                return
            pictures.touch([box])
            self._draw_pictures()

    def _redraw(self, written: Sequence[Region]) -> None:
        """Redraw once after several frames in a row, since each drawing sends whole pictures."""
        pictures = self._pictures
        if isinstance(pictures, OverlayPictures) and pictures.touch(written, self.content_region.offset):
            if self._drawing is not None:
                self._drawing.stop()
            self._drawing = self.set_timer(_DRAW_AFTER, self._draw_pictures)

    def _draw_pictures(self) -> None:
        """Redraw the pictures whose cells were written, unless something covers them."""
        if not isinstance(self._pictures, OverlayPictures) or not self.is_mounted or self._is_behind:
            return
        try:
            seen = self.screen.find_widget(self).visible_region
        except NoWidget:
            return
        self._pictures.draw(
            self.content_region.offset, lambda region: seen.contains_region(region) and self._is_uncovered(region)
        )

    def _is_uncovered(self, region: Region) -> bool:
        """Whether nothing covers a region of the screen; anything that could is at least four cells wide."""
        columns = {*range(region.x, region.right, 4), region.right - 1}
        return all(self.screen.get_widget_at(x, y)[0] is self for y in region.line_range for x in columns)

    def _set_cursor(self, cursor: int) -> None:
        """Redraw the lines that show the cursor and the focus, without the pictures."""
        groups = [self.cursor, cursor] if cursor != self.cursor else [cursor]
        self.cursor = cursor
        refresh: Callable[[Region], object] = self.refresh
        for group in groups:
            first = group * self._group // self._columns * self._columns
            y = first // self._columns * (self._rows + 2) + self._rows
            if first < self.shown and y < len(self._strips):
                self._strips[y] = self._strip(self._caption_line(first))
                refresh(Region(0, y, self.size.width, 1))
                # One frame with both lines would include the pictures between them.
                refresh = partial(self.call_after_refresh, self.refresh)

    def _strip(self, line: list[Segment]) -> Strip:
        return Strip(line).adjust_cell_length(self.size.width, self.rich_style)

    def _wanted(self, aspect: float) -> int:
        """Number of images that should fit: all, or as many as keep their size, but no fewer than `least`."""
        count = len(self._images)
        if self._least is None:
            return count
        width, height = self.size
        widest = max(image.pixels.shape[1] for image in self._images)
        cell = min(max(widest, SMALLEST_WIDTH), _LEGIBLE_WIDTH)
        lines = max(1, -(-round(cell * aspect) // 2)) + 2
        fitting = (width + _GAP) // (cell + _GAP) * ((height + 1) // lines)
        return min(count, max(fitting // self._group * self._group, self._least))

    def _picture_lines(self, first: int, y: int) -> list[list[Segment]]:
        """Draw the pictures of one row of images, side by side, from line `y` of the content."""
        base, cell = self.rich_style, self._cell
        pictures: Pictures = BlockPictures() if self._is_behind else self._pictures
        lines: list[list[Segment]] = [[] for _ in range(self._rows)]
        for column, image in enumerate(self._images[first : min(first + self._columns, self.shown)]):
            box = Region(column * (cell + _GAP), y, cell, self._rows)
            picture = pictures.lines(image.pixels, box)
            for index, line in enumerate(lines):
                row = picture[index] if index < len(picture) else []
                used = sum(segment.cell_length for segment in row)
                line += [*row, Segment(" " * (cell - used + _GAP), base)]
        return lines

    def _caption_line(self, first: int) -> list[Segment]:
        """Write the captions below one row of images."""
        base, cell = self.rich_style, self._cell
        line = []
        for number, image in enumerate(self._images[first : min(first + self._columns, self.shown)], start=first):
            caption = printable(image.caption)
            if cell_len(caption) > cell:
                caption = set_cell_size(caption, cell - 1) + "…"
            is_current = self.has_focus and number // self._group == self.cursor
            style = base + Style(reverse=True) if is_current else base
            line += [Segment(set_cell_size(caption, cell), style), Segment(" " * _GAP, base)]
        return line


def _check(pixels: np.ndarray) -> None:
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if str(pixels.dtype) != "uint8" or not is_image or 0 in pixels.shape:
        raise ValueError(
            f"an image must be uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], not {pixels.dtype} {pixels.shape}"
        )


def _best_cell(count: int, aspect: float, size: tuple[int, int], group: int = 1) -> tuple[int, int, int]:
    """Choose images per row, width in cells and height in lines, for the largest images that all fit.

    The images of a group stay in one row.
    """
    width, height = size
    for cell in range(min(LARGEST_WIDTH, width), SMALLEST_WIDTH - 1, -1):
        columns = (width + _GAP) // (cell + _GAP) // group * group
        if not columns:
            continue
        rows = max(1, -(-round(cell * aspect) // 2))
        if rows + 1 <= height and columns * ((height + 1) // (rows + 2)) >= count:
            return columns, cell, rows
    # Not all of them fit: use the smallest recognizable size, or the height that is left.
    narrow = max(2, (width + _GAP) // group - _GAP)
    cell = min(SMALLEST_WIDTH, narrow, max(2, int((height - 1) * 2 / aspect)))
    columns = max(1, (width + _GAP) // (cell + _GAP) // group * group)
    return columns, cell, max(1, -(-round(cell * aspect) // 2))
