"""Locks that say which process works on a trial: the kernel drops them when it dies, however it dies.

A worker holds `N.lock` of its trial. The process that trains the trial's run inherits `N.run` when it is started, so
that a worker that finds a dead one's trial knows whether its run still lives, even before that has a directory.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class FileLock:
    """A lock on a file (`flock`), held until `release` or until every process that has its descriptor has ended."""

    def __init__(self, descriptor: int) -> None:
        """Use `try_lock` or `wait_for_lock`."""
        self.descriptor = descriptor

    def release(self) -> None:
        """Close this process's descriptor of it. A second call does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> FileLock:
        return self

    def __exit__(self, *error: object) -> None:
        self.release()


def try_lock(path: Path) -> FileLock | None:
    """The lock on `path`, which is made where it isn't there; None while another holds it. Raises OSError."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return FileLock(descriptor)


def wait_for_lock(path: Path) -> FileLock:
    """The lock on `path`, once the others have given it up. Raises OSError."""
    descriptor = _opened(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return FileLock(descriptor)


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock on `path`; asking makes no file, and a reader may ask."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        # Shared: those who ask don't take each other for a holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
