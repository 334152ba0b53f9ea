"""A lock for the moment in which a process changes a file that others change, too."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

WAIT_SECONDS = 5.0
"""A change takes milliseconds; who holds the lock for longer is stopped or stuck."""
_RETRY_SECONDS = 0.01


@contextlib.contextmanager
def locked(place: Path, what: str) -> Iterator[None]:
    """Hold the lock of those who change a file.

    Args:
        place: a folder, which is locked itself, or a file for the lock, which is made.
        what: the file or folder that is changed, as errors name it.

    Raises:
        OSError: the lock can't be opened; a TimeoutError when another process keeps it.
    """
    kind = os.O_RDONLY | os.O_DIRECTORY if place.is_dir() else os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(place, kind | os.O_CLOEXEC, 0o600)
    try:
        until = time.monotonic() + WAIT_SECONDS
        while not _is_taken(descriptor):
            if time.monotonic() > until:
                raise TimeoutError(
                    errno.ETIMEDOUT,
                    f"another process has held the lock on {what} for {WAIT_SECONDS:g} s, which others wait for; "
                    "end it if it is stopped or stuck, and try again",
                )
            time.sleep(_RETRY_SECONDS)
        yield
    finally:
        os.close(descriptor)


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
