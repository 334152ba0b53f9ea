"""The result of a search for the largest batch as text, for the verb and the screen."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.text import Text

from .figures import byte_size

if TYPE_CHECKING:
    from torchdeck.engine.preflight.batch_search import BatchSearch

LOWER_START = "lower loader.batch_size to start the search lower"
"""What helps if memory ran out in a search."""


def tries_text(found: BatchSearch) -> Text:
    """Describe the tried sizes, one line each, smallest first."""
    text = Text("   batch  peak memory  samples/s")
    for tried in sorted(found.tries, key=lambda tried: tried.batch_size):
        peak = byte_size(tried.peak) if tried.peak else "–"
        rate = "does not fit" if math.isnan(tried.samples_per_second) else f"{tried.samples_per_second:,.0f}"
        style = "" if tried.fits else "dim"
        text.append(f"\n{tried.batch_size:>8,}  {peak:>11}  {rate:>9}", style)
    return text


def result_text(found: BatchSearch) -> Text:
    """Describe the result of the search."""
    if not found.largest:
        return Text(f"not even a batch of 1 fits in {byte_size(found.room)}", "red")
    text = Text("largest batch that fits: ").append(f"{found.largest:,}", "bold")
    if found.limited_by == "samples":
        text.append(" (the whole training split)")
    elif found.within > 1:
        text.append(f" (within {found.within} samples)")
    text.append(f"; tried in {found.precision} on {found.device} with up to {byte_size(found.room)}")
    if found.is_compiled:
        text.append("; tried without torch.compile, which lowers the memory of a step")
    return text
