"""Lock on a run by its owner: a POSIX record lock on `run.lock`, held by the training process for its lifetime.

The kernel drops it the moment the process dies, however it dies, so there are no stale locks and no process ids that
meanwhile belong to another program. Forked children don't inherit it (an `flock` they would), and the kernel names its
holder. The price: it is lost as soon as the process closes *any* descriptor of the file, so the owner never opens
the file a second time; it looks into the table kept here instead.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import threading
from pathlib import Path

from ...errors import RunError

LOCK_FILE = "run.lock"

# struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid.
_FLOCK = struct.Struct("hhqqi4x")


class RunLock:
    """Ownership of one run by this process. Made by `acquire`, ended by `release` or by the process's end.

    It holds the run's directory itself, so that whatever is put in its place meanwhile is not written to.

    Attributes:
        path: where the lock's file is, or should be.
        held: the run's directory by way of a descriptor, until `release`: what is opened below it, is opened there.
    """

    def __init__(self, path: Path, folder: int, descriptor: int) -> None:
        """Use `acquire`.

        Args:
            path: the lock's file.
            folder: descriptor of the run's directory.
            descriptor: the locked descriptor of the file.
        """
        self.path = path
        self.held = Path(f"/proc/self/fd/{folder}")
        self._folder = folder
        self._descriptor = descriptor
        self._identity = _identity(os.fstat(descriptor))

    def keep(self) -> bool:
        """Take the lock again where its file was removed or replaced, as cleaners of shared disks do.

        Returns:
            Whether that was so.

        Raises:
            RunError: a live process has locked the new file.
            OSError: the lock's file can't be made.
        """
        with _mutex:
            if _held.get(self._identity) is not self or _held_here(self.held / LOCK_FILE) is self:
                return False
            descriptor = _locked_file(self._folder, self.path.parent)
            # Only now: closing the old file's descriptor gives up its lock, which nobody can see any more.
            os.close(self._descriptor)
            del _held[self._identity]
            self._descriptor, self._identity = descriptor, _identity(os.fstat(descriptor))
            _held[self._identity] = self
            return True

    def move(self, run: Path) -> None:
        """The run's directory has another name: its lock's file is there now."""
        with _mutex:
            self.path = run / LOCK_FILE

    def release(self) -> None:
        """Give the run up. A second call does nothing."""
        with _mutex:
            if _held.get(self._identity) is self:
                del _held[self._identity]
                os.close(self._descriptor)
                os.close(self._folder)


# Locks of this process by device and inode. The mutex also keeps a look at a run that nobody owns from closing its
# descriptor just after another thread has locked the same file.
_held: dict[tuple[int, int], RunLock] = {}
_mutex = threading.Lock()
os.register_at_fork(after_in_child=lambda: _forget_in_child())


def acquire(run: Path) -> RunLock:
    """Take ownership of the run directory `run`.

    Raises:
        RunError: a live process owns it; the text names the process.
        OSError: the lock file can't be made or the file system has no locks.
    """
    path = run / LOCK_FILE
    with _mutex:
        if _held_here(path) is not None:
            raise RunError(f"{run.name}: is being trained by this process")
        folder = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            lock = RunLock(path, folder, _locked_file(folder, run))
        except BaseException:
            os.close(folder)
            raise
        _held[lock._identity] = lock
        return lock


def trained_by(run: Path, owner: int | None, where: str = "") -> str:
    """Error message for a run that a live process trains, somewhere else if it is said where."""
    process = f"process {owner}" if owner else f"a process {where}" if where else "another process"
    return (
        f"{run.name}: is being trained by {process}; stop it first "
        f"(torchdeck send {run.name} stop), or watch it (torchdeck attach {run.name})"
    )


def lock_holder(run: Path) -> int | None:
    """Process that holds the lock of the run in directory `run`, from the kernel; None if no process does.

    0 when it is alive in another pid namespace (a container), where its number means nothing here.
    """
    path = run / LOCK_FILE
    with _mutex:
        if _held_here(path) is not None:
            return os.getpid()
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            return _holder(descriptor)
        finally:
            os.close(descriptor)


def is_held_here(run: Path) -> bool:
    """Whether this process has taken the lock of a run and not released it, be its file there or not."""
    with _mutex:
        return any(lock.path == run / LOCK_FILE for lock in _held.values())


def _locked_file(folder: int, run: Path) -> int:
    """A descriptor of the lock's file in an open directory, locked.

    Args:
        folder: descriptor of the directory.
        run: its path, for the error.

    Raises:
        RunError: another process has locked it.
    """
    descriptor = os.open(LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = _holder(descriptor)
        os.close(descriptor)
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        raise RunError(trained_by(run, owner)) from error
    return descriptor


def _held_here(path: Path) -> RunLock | None:
    try:
        return _held.get(_identity(os.stat(path, follow_symlinks=False)))
    except OSError:
        return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _holder(descriptor: int) -> int | None:
    """The process id of the lock's holder; None when the file is not locked."""
    question = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    kind, _, _, _, pid = _FLOCK.unpack(fcntl.fcntl(descriptor, fcntl.F_GETLK, question))
    return None if kind == fcntl.F_UNLCK else max(0, pid)


def _forget_in_child() -> None:
    """A forked child owns nothing; the descriptors it inherited are harmless, as the locks aren't its own."""
    global _mutex
    _mutex = threading.Lock()
    _held.clear()
