"""Numbers of things in messages."""

from __future__ import annotations


def plural(count: int, one: str, many: str = "") -> str:
    """`count` things in words: "1 step", "2,000 steps".

    Args:
        count: how many.
        one: what stands after 1.
        many: what stands after any other number; `one` with an s where it is empty.
    """
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
