"""Describe the class balance in words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...plurals import plural

NEARLY = 1.1
"""Ratio of the largest to the smallest class below which classes count as balanced."""

_NOTABLE = 1.5
_NAMED = 3


def imbalance(counts: Sequence[int]) -> float:
    """Samples of the largest class per sample of the smallest; infinite if a class has none, 1 without classes."""
    return 1.0 if not counts else max(counts) / min(counts) if min(counts) else math.inf


def describe_balance(counts: Sequence[int], classes: Sequence[str]) -> str:
    """One or two sentences about the training samples of each class, and what to do about an imbalance.

    Args:
        counts: training samples of each class.
        classes: their names.
    """
    if not counts or not sum(counts):
        return "The number of samples per class is unknown."
    present = [count for count in counts if count]
    if len(present) == 1:
        only = next(name for name, count in zip(classes, counts, strict=True) if count)
        return f"All training samples are of one class, {only}: there is nothing to learn."
    smallest, largest = min(present), max(present)
    if smallest == largest:
        words = f"Balanced: {largest:,} per class."
    elif largest / smallest < NEARLY:
        words = f"Nearly balanced: {smallest:,} to {largest:,} per class."
    else:
        most, fewest = classes[counts.index(largest)], classes[counts.index(smallest)]
        words = f"{largest / smallest:.1f} : 1 between {most} ({largest:,}) and {fewest} ({smallest:,})"
        if largest / smallest < _NOTABLE:
            words = f"Slightly imbalanced, {words}."
        else:
            share = largest / sum(counts)
            words = (
                f"Imbalanced, {words}; always predicting {most} is {share:.0%} correct. "
                'loader.sampler = "balanced" draws every class equally often.'
            )
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        named = ", ".join(empty[:_NAMED]) + (", …" if len(empty) > _NAMED else "")
        words += f" {plural(len(empty), 'class has', 'classes have')} no training sample: {named}."
    return words
