"""Open a file of a run directory safely, even if something else was put in its place."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20


def open_regular_file(path: Path | str, *, follow_links: bool = False) -> int:
    """A descriptor for reading `path`.

    Raises:
        OSError: it isn't there, is a symbolic link (unless followed), or not a regular file: opening a FIFO would wait
            for ever, reading a device might never end.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if follow_links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ENXIO:
            # A socket, or a device that isn't there.
            raise OSError(errno.EINVAL, "not a regular file", str(path)) from error
        raise
    require_regular(descriptor, path)
    return descriptor


APPEND_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
"""Open a file of a run for appending: a link is refused, and a FIFO is not waited for."""


def open_for_appending(path: Path) -> int:
    """A descriptor that appends to `path`, which is made where it isn't there.

    Raises:
        OSError: it is a symbolic link or not a regular file, or can't be written.
    """
    try:
        descriptor = os.open(path, APPEND_FLAGS | os.O_CLOEXEC, 0o644)
    except OSError as error:
        if error.errno == errno.ENXIO:
            # A FIFO that nobody reads.
            raise OSError(errno.EINVAL, "not a regular file", str(path)) from error
        raise
    require_regular(descriptor, path)
    return descriptor


def require_regular(descriptor: int, path: Path | str) -> None:
    """Close a descriptor of anything but a regular file, and raise OSError."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))


@contextlib.contextmanager
def held_folder(path: Path) -> Iterator[Path]:
    """A folder that stays the one it is, whatever is put in its place meanwhile; a symbolic link is refused.

    Yields:
        A path by way of a descriptor: what is opened below it, is opened in that folder.

    Raises:
        OSError: it isn't there, or is not a folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)


def read_regular_file(path: Path | str, max_bytes: int, *, follow_links: bool = False) -> bytes:
    """The content of a regular file that is no symbolic link, unless links are followed.

    Raises:
        OSError: as `open_regular_file`, or the file is larger than allowed.
    """
    descriptor = open_regular_file(path, follow_links=follow_links)
    try:
        # Memory for as much as is there; a read of up to the limit would take it for the limit.
        content = os.read(descriptor, min(os.fstat(descriptor).st_size, max_bytes) + 1)
        while len(content) <= max_bytes and (more := os.read(descriptor, min(_CHUNK, max_bytes + 1 - len(content)))):
            content += more
    finally:
        os.close(descriptor)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes", str(path))
    return content
