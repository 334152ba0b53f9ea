"""Locks on files that say which process works on something: the kernel drops them when it dies, however it dies.

A process that is started can inherit one, which then is held until that process has ended, too.
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


def try_lock(path: Path, *, shared_by_users: bool = False, is_exclusive: bool = True) -> FileLock | None:
    """The lock on `path`, which is made where it isn't there; None while another holds it. Raises OSError.

    Args:
        path: the file.
        shared_by_users: whether other users take the lock, too.
        is_exclusive: whether to keep everybody out, or only those who want it exclusively.
    """
    descriptor = _opened(path, shared_by_users=shared_by_users)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_EX if is_exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
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


def _opened(path: Path, *, shared_by_users: bool = False) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    if not shared_by_users:
        return os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o600)
    try:
        # In a folder like /tmp the kernel lets nobody create what another user's file is already.
        return os.open(path, flags | os.O_RDONLY)
    except FileNotFoundError:
        pass
    try:
        descriptor = os.open(path, flags | os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return os.open(path, flags | os.O_RDONLY)
    os.fchmod(descriptor, 0o666)
    return descriptor
