"""Work on a few images at a time, so that what lies between two operations stays in the CPU's cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

# float32 pixels at a time. Buffers of this size are also kept by the C library's allocator: larger ones go back to
# the system and cost a page fault for every 4 kB when they are needed again (GaussianBlur of 3×32×32 images: 2.3 times
# the CPU time with 2 MB, benchmarks/data_path.py).
SLICE_BYTES = 768 << 10


def slices(images: Tensor, size: int = SLICE_BYTES) -> Iterator[slice]:
    """Pieces of a batch [n, C, H, W] whose float32 copies take up to `size` bytes.

    All of it on an accelerator, where fewer and larger kernels are better.
    """
    count = len(images)
    step = max(size // (4 * images[0].numel()), 1) if images.device.type == "cpu" and count else max(count, 1)
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def joined(parts: Iterable[Tensor]) -> Tensor:
    """Pieces of a batch in one tensor; a single piece is not copied."""
    every = list(parts)
    return every[0] if len(every) == 1 else torch.cat(every)


def part_of(drawn: Any, part: slice) -> Any:
    """The parameters of a piece of a batch: each tensor in a structure of tuples, lists and dataclasses, cut alike."""
    if isinstance(drawn, Tensor):
        return drawn[part]
    if isinstance(drawn, tuple | list):
        return type(drawn)(part_of(item, part) for item in drawn)
    if is_dataclass(drawn) and not isinstance(drawn, type):
        return replace(drawn, **{field.name: part_of(getattr(drawn, field.name), part) for field in fields(drawn)})
    return drawn
