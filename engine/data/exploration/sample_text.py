"""Samples other than images, as text: signals as a line of bars, tokens as numbers, everything with its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...shapes import shape_words
from ..datasets.samples import as_tensors

_BARS = "▁▂▃▄▅▆▇█"
_CHANNELS_SHOWN = 3
_NUMBERS_SHOWN = 24
_LONGEST_TEXT = 200


def target_words(target: Any, classes: Sequence[str]) -> str:
    """A target for people: the name of its class, or its numbers."""
    value = as_tensors(target)
    if not isinstance(value, Tensor) or not value.numel():
        return type(target).__name__
    if value.ndim == 0 and not value.is_floating_point() and 0 <= int(value) < len(classes):
        return classes[int(value)]
    return _numbers(value.flatten())


def describe(value: Any, width: int = 60, name: str = "") -> list[str]:
    """An input as text: for every part one line with its shape and numbers, and for signals a line per channel.

    Args:
        value: a sample's input: a tensor, an array, text, or a tuple or a dict of them.
        width: width of the line of bars, in characters.
        name: prefix of its lines.
    """
    prefix = f"{name}: " if name else ""
    value = as_tensors(value)
    if isinstance(value, Mapping):
        return [line for key, item in value.items() for line in describe(item, width, f"{prefix}{key}")]
    if isinstance(value, tuple):
        return [line for place, item in enumerate(value) for line in describe(item, width, f"{prefix}{place}")]
    if not isinstance(value, Tensor):
        text = str(value)
        return [f"{prefix}{text[:_LONGEST_TEXT]}{'…' if len(text) > _LONGEST_TEXT else ''}"]
    dtype = str(value.dtype).removeprefix("torch.")
    if not value.numel():
        return [f"{prefix}{shape_words(tuple(value.shape))} {dtype}, empty"]
    if value.ndim == 0:
        return [f"{prefix}{_numbers(value[None])}"]
    heading = f"{prefix}{shape_words(tuple(value.shape))} {dtype}"
    if value.ndim == 1 and not value.is_floating_point():
        return [f"{heading}: {_numbers(value)}"]
    numbers = value.to(torch.float64)
    lines = [f"{heading}, {numbers.min():.4g} to {numbers.max():.4g}, mean {numbers.mean():.4g}"]
    if value.ndim <= 2:
        channels = numbers.reshape(-1, numbers.shape[-1])
        lines += [bars(channel, width) for channel in channels[:_CHANNELS_SHOWN]]
        if len(channels) > _CHANNELS_SHOWN:
            lines.append(f"… {len(channels) - _CHANNELS_SHOWN} more channels")
    return lines


def bars(signal: Tensor, width: int) -> str:
    """A signal [n] as at most `width` bars of eight heights, each the mean of its stretch; "·" for not finite."""
    stretches = [part.mean() for part in np.array_split(signal.numpy(), min(width, len(signal)))]
    finite = [value for value in stretches if np.isfinite(value)]
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    steps = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * steps)] if np.isfinite(value) else "·" for value in stretches)


def _numbers(values: Tensor) -> str:
    shown = " ".join(
        f"{value:.4g}" if isinstance(value, float) else str(value) for value in values[:_NUMBERS_SHOWN].tolist()
    )
    return shown + (" …" if len(values) > _NUMBERS_SHOWN else "")
