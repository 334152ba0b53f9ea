"""Resizing images for the screen, and encoding them as PNG."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

# Compression level, of 9: higher levels take much longer and hardly shrink photographs.
_COMPRESSION = 6


def as_rgb(pixels: np.ndarray) -> np.ndarray:
    """Convert uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] to uint8 [H, W, 3]; an alpha channel is ignored."""
    import numpy as np

    image = pixels[:, :, None] if pixels.ndim == 2 else pixels
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image[:, :, :3]


def fitted_size(height: int, width: int, box_height: int, box_width: int) -> tuple[int, int]:
    """Height and width of the largest picture of this aspect ratio within the box, at least 1 pixel each."""
    scale = min(box_width / width, box_height / height)
    return max(1, round(height * scale)), max(1, round(width * scale))


def resized(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize to uint8 [height, width, 3]: each axis is enlarged to the nearest pixel, or averaged down."""
    import numpy as np

    if height >= rgb.shape[0] and width >= rgb.shape[1]:
        rows = ((np.arange(height) + 0.5) * rgb.shape[0] / height).astype(int)
        columns = ((np.arange(width) + 0.5) * rgb.shape[1] / width).astype(int)
        enlarged: np.ndarray = rgb[rows][:, columns]
        return enlarged
    height, width = min(height, rgb.shape[0]), min(width, rgb.shape[1])
    # One pixel replaces several: their mean is what the eye would see.
    row_starts = np.arange(height) * rgb.shape[0] // height
    column_starts = np.arange(width) * rgb.shape[1] // width
    sums = np.add.reduceat(np.add.reduceat(rgb.astype(np.uint32), row_starts, axis=0), column_starts, axis=1)
    heights = np.diff(row_starts, append=rgb.shape[0])[:, None, None]
    widths = np.diff(column_starts, append=rgb.shape[1])[None, :, None]
    averaged: np.ndarray = (sums // (heights * widths)).astype(np.uint8)
    return averaged


def area_averaged(rgb: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize to float32 [height, width, 3]; each pixel is the mean of the area that it covers."""
    import numpy as np

    def averaged(values: np.ndarray, parts: int) -> np.ndarray:
        """The mean of each of so many equal parts of the first axis."""
        size = len(values)
        edges = np.arange(parts + 1) * (size / parts)
        whole = np.minimum(edges.astype(int), size - 1)
        # The sum up to an edge is that up to the last whole pixel, and a part of the next one.
        sums = np.concatenate([np.zeros_like(values[:1]), values.cumsum(axis=0)])[whole]
        sums += (edges - whole).astype(np.float32)[:, None, None] * values[whole]
        means: np.ndarray = np.diff(sums, axis=0) * np.float32(parts / size)
        return means

    rows = averaged(rgb.astype(np.float32), height)
    return averaged(rows.transpose(1, 0, 2), width).transpose(1, 0, 2)


def for_scaling(rgb: np.ndarray, box_height: int, box_width: int, longest: int) -> np.ndarray:
    """Resize an image for a terminal that scales it into a box, to at most `longest` pixels wide and high.

    A small image is enlarged by a whole factor, so that the terminal's smoothing does not blur its pixels. An image
    larger than the box is averaged down to it: more pixels would be sent for nothing.

    Args:
        rgb: uint8 [H, W, 3].
        box_height: height of the box on the screen, in pixels.
        box_width: width of the box on the screen, in pixels.
        longest: maximum width and height of the result, in pixels.
    """
    height, width = rgb.shape[:2]
    fitted_height, fitted_width = fitted_size(height, width, min(box_height, longest), min(box_width, longest))
    times = fitted_width // width
    if times >= 1:
        return resized(rgb, height * times, width * times)
    return resized(rgb, fitted_height, fitted_width)


def png(rgb: np.ndarray) -> bytes:
    """Encode uint8 [H, W, 3] as a PNG file.

    Each row uses the filter (none, left or above) with the smallest sum of differences, the heuristic of the PNG
    specification, https://www.w3.org/TR/png-3/#12Filter-selection.
    """
    import numpy as np

    height, width = rgb.shape[:2]
    rows = np.ascontiguousarray(rgb).reshape(height, width * 3)
    left = rows.copy()
    left[:, 3:] -= rows[:, :-3]
    above = rows.copy()
    above[1:] -= rows[:-1]
    filtered = np.stack([rows, left, above])
    costs = np.abs(filtered.view(np.int8).astype(np.int16)).sum(axis=2)
    chosen = costs.argmin(axis=0)
    lines = np.concatenate([chosen[:, None].astype(np.uint8), filtered[chosen, np.arange(height)]], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(lines.tobytes(), _COMPRESSION)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
