"""Progress reports of long operations."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Callback with a message, items done, and total items (0 if unknown). An exception that it raises ends the work."""


def unreported(message: str, done: int, total: int) -> None:
    """Progress callback that does nothing."""
