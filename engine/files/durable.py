"""Files that appear under their name whole or not at all, and stay there after a power cut.

The order is: a temporary file in the same folder, all bytes, fsync of the file, rename, fsync of the folder. Without
the first fsync a rename may survive a power cut that the bytes don't; without the second the rename may be lost.
"""

from __future__ import annotations

import errno
import io
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol, cast

# Large writes go out in pieces, so that an error names how far it came and the GIL is free in between.
_PIECE_BYTES = 8 << 20


class FileOperations:
    """The system calls that writing needs; tests replace it by one that fails at a chosen call."""

    def open(self, path: Path, flags: int, mode: int = 0o644) -> int:
        """`os.open`, never inherited by a child process."""
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def write(self, descriptor: int, data: memoryview) -> int:
        """`os.write`; may write less than it was given."""
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """`os.fsync`."""
        os.fsync(descriptor)

    def fdatasync(self, descriptor: int) -> None:
        """`os.fdatasync` where there is one."""
        getattr(os, "fdatasync", os.fsync)(descriptor)

    def close(self, descriptor: int) -> None:
        """`os.close`."""
        os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """`os.replace`: the target's old file, if any, is replaced in one step."""
        os.replace(source, target)

    def link(self, source: Path, target: Path) -> None:
        """`os.link`."""
        os.link(source, target)

    def unlink(self, path: Path) -> None:
        """`os.unlink`."""
        os.unlink(path)


SYSTEM = FileOperations()


class FileContent(Protocol):
    """Writes a file's content into an open binary file."""

    def __call__(self, file: BinaryIO, /) -> object:
        """Write everything; the file is closed by the caller."""


class _WholeWriter(io.RawIOBase):
    """An unbuffered file that finishes short writes and remembers the first error.

    torch's archive writer turns an OSError raised in `write` into a RuntimeError without the cause; the error
    remembered here is what the user has to know.
    """

    def __init__(self, descriptor: int, operations: FileOperations) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._operations = operations
        self.written = 0
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        if self.error is not None:
            raise self.error
        view = memoryview(cast(bytes, data)).cast("B")
        done = 0
        try:
            while done < len(view):
                count = self._operations.write(self._descriptor, view[done : done + _PIECE_BYTES])
                if count <= 0:
                    raise OSError(errno.EIO, "the system wrote nothing")
                done += count
        except OSError as error:
            self.error = error
            raise
        finally:
            self.written += done
        return len(view)


def make_folder(path: Path) -> None:
    """Make a folder, with those around it, where it isn't there; nobody else may write to it, whatever the umask.

    Raises OSError.
    """
    if path.is_dir():
        return
    if path.exists():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))
    make_folder(path.parent)
    path.mkdir(mode=0o755, exist_ok=True)


def fsync_directory(path: Path, operations: FileOperations = SYSTEM) -> None:
    """Make renames, links and deletions in a folder survive a power cut. Raises OSError."""
    descriptor = operations.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        operations.fsync(descriptor)
    finally:
        operations.close(descriptor)


def atomic_write(
    path: Path,
    content: bytes | FileContent,
    *,
    durable: bool = True,
    mode: int = 0o644,
    operations: FileOperations = SYSTEM,
) -> int:
    """Put a file under `path` in one step: readers see the old one or the whole new one.

    Args:
        path: where the file shall lie; a file that is there is replaced.
        content: its bytes, or a function that writes them into the file it is given.
        durable: survive a power cut once this returns. Without it the file is still never seen torn by a
            running system, which is enough for what can be made again.
        mode: permissions of the file.
        operations: the system calls.

    Returns:
        The number of bytes written.

    Raises:
        OSError: with the true errno, also when `content` hid it. The old file is untouched then (unless only the
            folder's fsync failed) and the temporary one is gone.
    """
    temporary = temporary_path(path)
    descriptor = operations.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        written = _write_and_close(descriptor, content, durable, operations)
        operations.rename(temporary, path)
    except BaseException:
        _remove_if_there(temporary)
        raise
    if durable:
        fsync_directory(path.parent, operations)
    return written


def replace_with_link(source: Path, target: Path, operations: FileOperations = SYSTEM) -> None:
    """Make `target` another name of the file `source`, in one step; a copy where there are no hard links.

    Not durable before `fsync_directory`. Raises OSError; then `target` is what it was.
    """
    temporary = temporary_path(target)
    try:
        operations.link(source, temporary)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        atomic_write(target, _copy_of(source), operations=operations)
        return
    try:
        # Renaming one name of a file onto another of the same file does nothing, so the temporary name may stay.
        operations.rename(temporary, target)
    finally:
        _remove_if_there(temporary)


def temporary_path(path: Path) -> Path:
    """A name beside `path` that no reader takes for a finished file."""
    return path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")


def remove_temporary_files(folder: Path) -> None:
    """Remove what interrupted writes left in a folder. Only safe for the folder's one writer."""
    for file in folder.glob(".*.tmp"):
        _remove_if_there(file)


def _write_and_close(descriptor: int, content: bytes | FileContent, durable: bool, operations: FileOperations) -> int:
    try:
        writer = _WholeWriter(descriptor, operations)
        if isinstance(content, bytes):
            writer.write(content)
        else:
            try:
                content(cast(BinaryIO, writer))
            except OSError:
                raise
            except Exception as error:
                if writer.error is not None:
                    raise writer.error from error
                raise
            if writer.error is not None:
                raise writer.error
        if durable:
            operations.fsync(descriptor)
        return writer.written
    finally:
        operations.close(descriptor)


def _copy_of(source: Path) -> Callable[[BinaryIO], None]:
    def copy(file: BinaryIO) -> None:
        with source.open("rb") as original:
            while piece := original.read(_PIECE_BYTES):
                file.write(piece)

    return copy


def _remove_if_there(path: Path) -> None:
    """Clean-up beside an error that is already on its way: a second one must not hide it."""
    try:
        os.unlink(path)
    except OSError:
        return
