"""The result of a search for the largest batch as lines of markup, for the verb and the screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...drawing import name
from ..figures import byte_size

if TYPE_CHECKING:
    from torchdeck.engine.preflight.batch_search import BatchSearch

LOWER_START = "lower loader.batch_size to start the search lower"
"""What helps if memory ran out in a search."""


def tries_text(found: BatchSearch) -> str:
    """Describe the tried sizes, one line each, smallest first."""
    lines = ["   batch  peak memory  samples/s"]
    for tried in sorted(found.tries, key=lambda tried: tried.batch_size):
        peak = byte_size(tried.peak) if tried.peak else "–"
        rate = "does not fit" if math.isnan(tried.samples_per_second) else f"{tried.samples_per_second:,.0f}"
        line = f"{tried.batch_size:>8,}  {peak:>11}  {rate:>9}"
        lines.append(line if tried.fits else f"[$text-muted]{line}[/]")
    return "\n".join(lines)


def result_text(found: BatchSearch) -> str:
    """Describe the result of the search."""
    if not found.largest:
        return f"[$error]not even a batch of 1 fits in {byte_size(found.room)}[/]"
    words = f"largest batch that fits: [b]{found.largest:,}[/]"
    if found.limited_by == "samples":
        words += " (the whole training split)"
    elif found.within > 1:
        words += f" (within {found.within} samples)"
    words += f"; tried in {found.precision} on {name(found.device)} with up to {byte_size(found.room)}"
    if found.is_compiled:
        words += "; tried without torch.compile, which lowers the memory of a step"
    return words
