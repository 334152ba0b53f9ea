"""Pictures made of quadrant blocks, four pixels per character cell, for every terminal with colors."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from .pixels import area_averaged, as_rgb

if TYPE_CHECKING:
    import numpy as np

# Bit 0 is the upper left pixel, 1 the upper right, 2 the lower left, 3 the lower right.
QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"

# Colors are rounded to multiples of this: equal neighbors are sent as one run, and the eye sees no difference.
_COLOR_STEP = 5
# Four pixels whose luminance differs by less look like one color.
_LEAST_CONTRAST = 10
# Of red, green and blue: https://www.itu.int/rec/R-REC-BT.601, 2.5.1.
_LUMINANCE = (0.299, 0.587, 0.114)


def fitted_cells(height: int, width: int, lines: int, columns: int) -> tuple[int, int]:
    """Lines and columns of the largest picture of this aspect ratio within a box of cells, at least 1 each.

    A cell is twice as high as wide.
    """
    scale = min(columns / width, 2 * lines / height)
    return max(1, min(lines, int(height * scale / 2 + 0.5))), max(1, min(columns, int(width * scale + 0.5)))


def quadrant_blocks(pixels: np.ndarray, columns: int, lines: int) -> list[list[Segment]]:
    """Render an image as segments within so much room, keeping its aspect ratio.

    The four pixels of a cell, each the mean of the area that it covers, are shown in two colors: the mean of those
    above the middle of their luminance, and the mean of the others.

    Args:
        pixels: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].
        columns: cells of the box.
        lines: lines of the box.
    """
    import numpy as np

    rgb = as_rgb(pixels)
    rows, width = fitted_cells(rgb.shape[0], rgb.shape[1], lines, columns)
    small = area_averaged(rgb, 2 * rows, 2 * width)
    four = small.reshape(rows, 2, width, 2, 3).transpose(0, 2, 1, 3, 4).reshape(rows, width, 4, 3)
    luminance = four @ np.array(_LUMINANCE, dtype=np.float32)
    lowest, highest = luminance.min(axis=2), luminance.max(axis=2)
    is_light = luminance > ((lowest + highest) / 2)[:, :, None]
    is_light &= (highest - lowest >= _LEAST_CONTRAST)[:, :, None]
    light = _mean_color(four, is_light)
    dark = _mean_color(four, ~is_light)
    bits = (is_light * np.array([1, 2, 4, 8])).sum(axis=2)
    return [_line(*row) for row in zip(bits.tolist(), light.tolist(), dark.tolist(), strict=True)]


def _mean_color(four: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The mean of the chosen pixels of each cell, in steps of color; black where none is chosen."""
    import numpy as np

    count = np.maximum(chosen.sum(axis=2), 1)[:, :, None]
    means = (four * chosen[..., None]).sum(axis=2) / count
    return np.minimum(np.round(means / _COLOR_STEP) * _COLOR_STEP, 255).astype(int)


def _line(bits: list[int], light: list[list[int]], dark: list[list[int]]) -> list[Segment]:
    """One line of cells; equal neighbors are one segment."""
    cells = list(zip(bits, map(tuple, light), map(tuple, dark), strict=True))
    line: list[Segment] = []
    start = 0
    for index in range(1, len(cells) + 1):
        if index == len(cells) or cells[index] != cells[start]:
            shape, upper, lower = cells[start]
            line.append(Segment(QUADRANTS[shape] * (index - start), _cell_style(upper if shape else None, lower)))
            start = index
    return line


@lru_cache(maxsize=4096)
def _cell_style(light: tuple[int, int, int] | None, dark: tuple[int, int, int]) -> Style:
    return Style(color=Color.from_rgb(*light) if light else None, bgcolor=Color.from_rgb(*dark))
