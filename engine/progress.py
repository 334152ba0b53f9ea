"""How long work tells how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with what is done, items done, items in all (0 where that is not known). What it raises ends the work."""


def unreported(message: str, done: int, total: int) -> None:
    """Progress that nobody wants to see."""
