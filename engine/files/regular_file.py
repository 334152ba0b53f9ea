"""Open a file of a run directory safely, even if something else was put in its place."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def open_regular_file(path: Path, *, follow_links: bool = False) -> int:
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
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def read_regular_file(path: Path, max_bytes: int, *, follow_links: bool = False) -> bytes:
    """The content of a regular file that is no symbolic link, unless links are followed.

    Raises:
        OSError: as `open_regular_file`, or the file is larger than allowed.
    """
    with os.fdopen(open_regular_file(path, follow_links=follow_links), "rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise OSError(errno.EFBIG, f"larger than {max_bytes} bytes", str(path))
    return content
