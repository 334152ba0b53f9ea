"""Sixel graphics: a picture in bands of six pixel rows, in at most 256 colors.

The VT340's format; DEC's "VT330/VT340 Programmer Reference Manual", volume 2, chapter 14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_COLORS = 256
_BAND = 6
# A shorter run takes as many bytes with a count as without.
_SHORTEST_RUN = 4


def encode(rgb: np.ndarray) -> str:
    """The escape sequence that draws uint8 [H, W, 3] at the cursor, from the upper left corner of its cell.

    An image with more than 256 colors is reduced to 256 by median cut.
    """
    import numpy as np

    height, width = rgb.shape[:2]
    indices, palette = _in_few_colors(rgb)
    colors = "".join(
        f"#{number};2;{red};{green};{blue}" for number, (red, green, blue) in enumerate(_percent(palette))
    )
    padded = np.full((-(-height // _BAND) * _BAND, width), -1)
    padded[:height] = indices
    bands = "-".join(_band(band) for band in padded.reshape(-1, _BAND, width))
    # Pixels are square; pixels that are not drawn keep what is on the screen.
    return f'\x1bP0;1;0q"1;1;{width};{height}{colors}{bands}\x1b\\'


def _in_few_colors(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each pixel's index, [H, W], into a palette, uint8 [at most 256, 3]."""
    import numpy as np
    from PIL import Image

    packed = rgb.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], dtype=np.uint32)
    colors, indices = np.unique(packed, return_inverse=True)
    if len(colors) <= _COLORS:
        return indices.reshape(packed.shape), colors[:, None] >> np.array([16, 8, 0]) & 255
    image = Image.fromarray(rgb).quantize(_COLORS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return np.asarray(image), np.array(image.getpalette()).reshape(-1, 3)


def _percent(palette: np.ndarray) -> list[list[int]]:
    """Convert a shade to sixel's range of 0 to 100."""
    percent: list[list[int]] = ((palette.astype(int) * 100 + 127) // 255).tolist()
    return percent


def _band(band: np.ndarray) -> str:
    """Encode six rows of indices (-1: no pixel): one line per color, drawn on top of each other."""
    import numpy as np

    width = band.shape[1]
    rows, columns = np.nonzero(band >= 0)
    # One number per color and column; each bit is a row that has the color there.
    places, inverse = np.unique(band[rows, columns].astype(np.int64) * width + columns, return_inverse=True)
    bits = np.bincount(inverse.ravel(), weights=1 << rows).astype(int)
    colors, starts = places // width, places % width
    is_new = np.ones(len(places), dtype=bool)
    is_new[1:] = (np.diff(places) != 1) | (np.diff(bits) != 0) | (np.diff(colors) != 0)
    first = np.flatnonzero(is_new)
    runs = np.diff(first, append=len(places))
    parts: list[str] = []
    color, at = -1, 0
    for next_color, start, run, pattern in zip(
        colors[first].tolist(), starts[first].tolist(), runs.tolist(), bits[first].tolist(), strict=True
    ):
        if next_color != color:
            parts.append(f"{'$' if parts else ''}#{next_color}")
            color, at = next_color, 0
        if start > at:
            parts.append(_run("?", start - at))
        parts.append(_run(chr(63 + pattern), run))
        at = start + run
    return "".join(parts)


def _run(character: str, count: int) -> str:
    return f"!{count}{character}" if count >= _SHORTEST_RUN else character * count
