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
from textual.binding import BindingType
from textual.errors import NoWidget
from textual.geometry import Region
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from ..graphics.graphics import Graphics
from ..graphics.pictures import BlockPictures, OverlayPictures, Pictures, pictures_for
from ..keys.bindings import bindings
from ..plain_text import printable
from ..process.terminal import TerminalApp
from ..working import Working
from .grid_layout import GridLayout, best_layout

if TYPE_CHECKING:
    import numpy as np

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

    They are shown with quadrant blocks, four pixels per cell, unless the terminal can show pictures.

    Several images may form a group; they stay together, and the cursor moves from group to group.

    Attributes:
        shown: number of images that fit.
        cursor: index of the group under the cursor.
    """

    DEFAULT_CSS = """
    ImageGrid {
        height: 1fr;
        min-height: 4;
        & > .image-grid--caption { color: $text-muted; }
        & > .image-grid--cursor { color: $text-primary; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"image-grid--caption", "image-grid--cursor"}
    BINDINGS: ClassVar[list[BindingType]] = bindings("pictures")

    @dataclass
    class Chosen(Message):
        """A group of images was chosen, with Enter or a click."""

        grid: ImageGrid
        group: int

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
            least: number of groups that must fit even if they have to shrink; None for all.
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
        self._layout = GridLayout(1, 1, group, 1, 1)
        self.shown = 0
        self.cursor = 0

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
        self.action_move(step * self._layout.columns)

    def action_choose(self) -> None:
        """Choose the group under the cursor."""
        if self._images:
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the group under the mouse; a second click chooses it."""
        offset = event.get_content_offset(self)
        group = self._layout.group_at(offset.x, offset.y) if offset is not None else None
        if group is not None and group < self.shown // self._group:
            self._set_cursor(group)
            if event.chain == 2:
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

    def watch_has_focus(self, _has_focus: bool) -> None:
        """Show the cursor while it is focused."""
        super().watch_has_focus(_has_focus)
        # The events come before the change.
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

    def _take_screen(self, screen: Screen[object]) -> None:
        """Lay out again when a screen covers this one: dimmed colors would change the image numbers in the cells."""
        if self._is_behind != (screen is not self.screen):
            self._is_behind = not self._is_behind
            self._layout_images()

    def _layout_images(self) -> None:
        if not self.is_mounted or not self.size:
            return
        self._strips = []
        self.shown = 0
        lines: list[list[Segment]] = []
        if self._images:
            lines = self._lines()
        elif self._empty:
            lines = [[Segment(self._empty.center(self.size.width), self._style("caption"))]]
        if not self._is_behind:
            self._pictures.settle()
            if isinstance(self._pictures, OverlayPictures) and self._images:
                self._encode_pictures(self._pictures)
        self._strips = [self._strip(line) for line in lines[: self.size.height]]
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

    def _lines(self) -> list[list[Segment]]:
        """Choose the layout, and draw every line of it."""
        aspect = max(image.pixels.shape[0] / image.pixels.shape[1] for image in self._images)
        aspect *= 2 / self._pictures.aspect
        widest = max(image.pixels.shape[1] for image in self._images)
        self._layout = layout = best_layout(
            len(self._images),
            widest,
            aspect,
            (self.size.width, self.size.height),
            group=self._group,
            least=self._least,
        )
        self.shown = min(layout.groups * self._group, len(self._images))
        self.cursor = min(self.cursor, max(self.shown // self._group - 1, 0))
        lines: list[list[Segment]] = []
        for y, band in sorted(self._bands().items()):
            lines += [[] for _ in range(y - len(lines))]
            lines += [*self._picture_lines(band, y), self._caption_line(band)]
        return lines

    def _bands(self) -> dict[int, list[tuple[int, int]]]:
        """The pictures that begin on each line: (cell, number of the image), from the left."""
        bands: dict[int, list[tuple[int, int]]] = {}
        for number in range(self.shown):
            x, y = self._layout.place(number)
            bands.setdefault(y, []).append((x, number))
        return bands

    def _set_cursor(self, cursor: int) -> None:
        """Redraw the captions that show the cursor and the focus, without the pictures."""
        groups = {self.cursor, cursor}
        self.cursor = cursor
        bands = self._bands()
        refresh: Callable[[Region], object] = self.refresh
        for y in sorted(
            {self._layout.place(group * self._group + part)[1] for group in groups for part in self._parts}
        ):
            at = y + self._layout.rows
            if y in bands and at < len(self._strips):
                self._strips[at] = self._strip(self._caption_line(bands[y]))
                refresh(Region(0, at, self.size.width, 1))
                # One frame with both lines would include the pictures between them.
                refresh = partial(self.call_after_refresh, self.refresh)

    @property
    def _parts(self) -> range:
        return range(self._group)

    def _strip(self, line: list[Segment]) -> Strip:
        return Strip(line).adjust_cell_length(self.size.width, self.rich_style)

    def _picture_lines(self, band: list[tuple[int, int]], y: int) -> list[list[Segment]]:
        """Draw the pictures that begin on line `y` of the content."""
        base, layout = self.rich_style, self._layout
        pictures: Pictures = BlockPictures() if self._is_behind else self._pictures
        lines: list[list[Segment]] = [[] for _ in range(layout.rows)]
        end = 0
        for x, number in band:
            picture = pictures.lines(self._images[number].pixels, Region(x, y, layout.cell, layout.rows))
            for index, line in enumerate(lines):
                row = picture[index] if index < len(picture) else []
                used = sum(segment.cell_length for segment in row)
                line += [Segment(" " * (x - end), base), *row, Segment(" " * (layout.cell - used), base)]
            end = x + layout.cell
        return lines

    def _caption_line(self, band: list[tuple[int, int]]) -> list[Segment]:
        """Write the captions below the pictures of a band."""
        cell = self._layout.cell
        line: list[Segment] = []
        end = 0
        for x, number in band:
            is_current = self.has_focus and number // self._group == self.cursor
            caption = printable(self._images[number].caption)
            if is_current and number % self._group == 0 and cell_len(caption) + 2 <= cell:
                caption = f"▸ {caption}"
            if cell_len(caption) > cell:
                caption = set_cell_size(caption, cell - 1) + "…"
            style = self._style("cursor" if is_current else "caption")
            line += [Segment(" " * (x - end), self.rich_style), Segment(set_cell_size(caption, cell), style)]
            end = x + cell
        return line

    def _style(self, part: str) -> Style:
        return self.rich_style + self.get_component_rich_style(f"image-grid--{part}", partial=True)


def _check(pixels: np.ndarray) -> None:
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3, 4))
    if str(pixels.dtype) != "uint8" or not is_image or 0 in pixels.shape:
        raise ValueError(
            f"an image must be uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], not {pixels.dtype} {pixels.shape}"
        )
