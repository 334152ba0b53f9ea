"""Tensors as pictures for the eye."""

from __future__ import annotations

import numpy as np
import torch
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


def middle_slice(value: object) -> NDArray[np.uint8] | None:
    """The slice in the middle of a volume's depth, uint8 [H, W, C]; None for what is not a volume.

    A volume is a tensor of real numbers in any unit, [C, D, H, W] or [D, H, W]. Black is its smallest finite number
    and white its largest, so that slices of different volumes can't be compared by their brightness.
    """
    if not isinstance(value, Tensor) or value.ndim not in (3, 4) or value.is_complex() or not value.numel():
        return None
    volume = value.float() if value.ndim == 4 else value.float()[None]
    finite = volume[volume.isfinite()]
    low, high = (finite.min(), finite.max()) if len(finite) else (volume.new_zeros(()), volume.new_ones(()))
    pixels = (volume[:, volume.shape[1] // 2] - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)
    return eye_image(pixels.nan_to_num(0.0, 1.0, 0.0))
