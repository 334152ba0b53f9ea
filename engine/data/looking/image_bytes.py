"""Tensors as pictures for the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

# More pixels than a terminal shows; the rest need not travel to it.
_LARGEST_SIDE = 384


def eye_image(pixels: Tensor) -> NDArray[np.uint8]:
    """A tensor [C, H, W], uint8 or float between 0 and 1, as uint8 [H, W, C] of 1 or 3 channels.

    Larger images than a terminal can show are averaged down. Of two channels, or more than four, the first is shown.
    Floats beyond 0 and 1 are cut off there.
    """
    if pixels.shape[0] not in (1, 3):
        pixels = pixels[:3] if pixels.shape[0] == 4 else pixels[:1]
    values = pixels.float() * 255 if pixels.is_floating_point() else pixels
    size = max(1, -(-max(pixels.shape[-2:]) // _LARGEST_SIDE))
    if size > 1:
        values = functional.avg_pool2d(values.float()[None], size, ceil_mode=True)[0]
    if values.is_floating_point():
        values = values.round().clamp(0, 255)
    return np.ascontiguousarray(values.byte().movedim(0, -1).numpy())
