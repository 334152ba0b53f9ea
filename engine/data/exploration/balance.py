"""How evenly samples are spread over the classes, in words."""

from __future__ import annotations

from collections.abc import Sequence

from ...plurals import plural

_NEARLY = 1.1
_NOTABLE = 1.5
_NAMED = 3


def describe_balance(counts: Sequence[int], classes: Sequence[str]) -> str:
    """One or two sentences about the training samples of each class, and what to do about an imbalance.

    Args:
        counts: training samples of each class.
        classes: their names.
    """
    if not counts or not sum(counts):
        return "How many samples each class has is not known."
    present = [count for count in counts if count]
    if len(present) == 1:
        only = next(name for name, count in zip(classes, counts, strict=True) if count)
        return f"Every training sample is of one class, {only}: there is nothing to tell apart."
    smallest, largest = min(present), max(present)
    if smallest == largest:
        words = f"Balanced: {largest:,} of each class."
    elif largest / smallest < _NEARLY:
        words = f"Nearly balanced: {smallest:,} to {largest:,} of each class."
    else:
        most, fewest = classes[counts.index(largest)], classes[counts.index(smallest)]
        words = f"{largest / smallest:.1f} : 1 between {most} ({largest:,}) and {fewest} ({smallest:,})"
        if largest / smallest < _NOTABLE:
            words = f"Slightly imbalanced, {words}."
        else:
            share = largest / sum(counts)
            words = (
                f"Imbalanced, {words}; always saying {most} is right for {share:.0%}. "
                'loader.sampler = "balanced" draws every class equally often.'
            )
    empty = [name for name, count in zip(classes, counts, strict=True) if not count]
    if empty:
        named = ", ".join(empty[:_NAMED]) + (", …" if len(empty) > _NAMED else "")
        words += f" {plural(len(empty), 'class has', 'classes have')} no training sample: {named}."
    return words
