"""What a search for the largest batch found, in words: for the verb that prints it and the screen that shows it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.text import Text

from .figures import byte_size

if TYPE_CHECKING:
    from torchdeck.engine.preflight.batch_search import BatchSearch

_ENDED = "the system may have ended it for the memory it took; a smaller loader.batch_size begins the search lower"


def tries_text(found: BatchSearch) -> Text:
    """One line for each size that was tried, the smallest first."""
    text = Text("   batch  peak memory  samples/s")
    for tried in sorted(found.tries, key=lambda tried: tried.batch_size):
        peak = byte_size(tried.peak) if tried.peak else "–"
        rate = "does not fit" if math.isnan(tried.samples_per_second) else f"{tried.samples_per_second:,.0f}"
        style = "" if tried.fits else "dim"
        text.append(f"\n{tried.batch_size:>8,}  {peak:>11}  {rate:>9}", style)
    return text


def result_text(found: BatchSearch) -> Text:
    """What the tries come to."""
    if not found.largest:
        return Text(f"not even a batch of one fits into {byte_size(found.room)}", "red")
    text = Text("the largest batch that fits: ").append(f"{found.largest:,}", "bold")
    if found.limited_by == "samples":
        text.append(", which is the whole training split")
    elif found.within > 1:
        text.append(f" (to {found.within} samples)")
    text.append(f"; steps in {found.precision} on {found.device} might take {byte_size(found.room)}")
    if found.is_compiled:
        text.append("; tried without torch.compile, with which a step takes less")
    return text


def ended_words(problem: str) -> str:
    """Why the process of a search ended, with what to do about it."""
    return f"{problem}; {_ENDED}" if "SIGKILL" in problem or "SIGABRT" in problem else problem
