"""Shapes of samples as values and as words. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Shape = tuple[Any, ...] | dict[str, Any]
"""Shape of a sample: (C, H, W) for an image, the shapes of the parts for a tuple or a dict."""


def shape_words(shape: Shape | Sequence[int]) -> str:
    """A shape for people: "3×32×32"; the parts of a tuple or a dict behind one another; "1" for a number."""
    if isinstance(shape, Mapping):
        return ", ".join(f"{name} {shape_words(item)}" for name, item in shape.items())
    parts: Sequence[Any] = shape
    if any(isinstance(item, tuple | dict) for item in parts):
        return ", ".join(map(shape_words, parts))
    return "×".join(map(str, parts)) or "1"


def tensor_words(sizes: Sequence[int]) -> str:
    """The shape of one tensor for people: "64×3×7×7", or "scalar"."""
    return shape_words(sizes) if sizes else "scalar"


def is_plain(shape: Shape) -> bool:
    """Whether it is the shape of one tensor."""
    return not isinstance(shape, Mapping) and all(isinstance(size, int) for size in shape)
