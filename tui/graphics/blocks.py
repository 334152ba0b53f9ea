"""Pictures made of half blocks, two pixels per character cell, for every terminal with colors."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from .pixels import as_rgb, fitted_size, resized

if TYPE_CHECKING:
    import numpy as np


def half_blocks(pixels: np.ndarray, width: int, height: int) -> list[list[Segment]]:
    """Render an image as segments within `width` cells and `height` pixels, keeping its aspect ratio.

    Each cell shows an upper half block whose foreground is the upper pixel and whose background is the lower one.
    """
    rgb = as_rgb(pixels)
    rows, columns = fitted_size(rgb.shape[0], rgb.shape[1], height, width)
    scaled = resized(rgb, rows, columns)
    lines = []
    for top in range(0, rows, 2):
        upper = list(map(tuple, scaled[top].tolist()))
        lower = list(map(tuple, scaled[top + 1].tolist())) if top + 1 < rows else [None] * columns
        line: list[Segment] = []
        start = 0
        for index in range(1, columns + 1):
            if index == columns or (upper[index], lower[index]) != (upper[start], lower[start]):
                line.append(Segment("▀" * (index - start), _cell_style(upper[start], lower[start])))
                start = index
        lines.append(line)
    return lines


@lru_cache(maxsize=4096)
def _cell_style(upper: tuple[int, int, int], lower: tuple[int, int, int] | None) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower) if lower else None)
