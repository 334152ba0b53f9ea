"""Importing many modules at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage_sought() -> Iterator[None]:
    """Import in here. Modules stay: looking for garbage among them while they are made takes up to a third of the
    time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
