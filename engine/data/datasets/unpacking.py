"""Unpacking the archive of a data set, whose maker is not trusted: nothing outside, and all of it or nothing.

An archive is unpacked into a hidden folder beside its destination and moved from there when all of it is sound, so
that no half of a data set is ever taken for the whole. Refused are names that lead outside, devices and FIFOs, links
out of the archive, names that are two things, and archives that unpack to far more than data compresses.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import secrets
import shutil
import stat
import tarfile
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ...errors import DataError
from ...files.durable import atomic_write

# Pictures and label masks stay far below; deflate reaches 1,000.
_MOST_TIMES = 100
_ALWAYS_ALLOWED_BYTES = 1 << 30
_PIECE = 1 << 20
_OPENERS: dict[str | None, Any] = {None: open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_READING_ERRORS = (EOFError, zlib.error, lzma.LZMAError, tarfile.TarError, zipfile.BadZipFile, NotImplementedError)


@contextlib.contextmanager
def own_unpacking() -> Iterator[None]:
    """Have torchvision unpack with the functions here in this block; its own leave half of a set after an error.

    Several threads may be in such a block; the last one that leaves puts torchvision's own functions back.
    """
    from torchvision.datasets import pcam, utils

    _replaced.enter(utils, pcam)
    try:
        yield
    finally:
        _replaced.leave(utils, pcam)


class _Replaced:
    """torchvision's own functions while those of this module are in their place."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._extractors: dict[str, Any] = {}
        self._decompress: Any = None

    def enter(self, utils: Any, pcam: Any) -> None:
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._extractors, self._decompress = dict(utils._ARCHIVE_EXTRACTORS), utils._decompress
            utils._ARCHIVE_EXTRACTORS.update({".tar": unpack_tar, ".zip": unpack_zip})
            utils._decompress = pcam._decompress = _decompressing(utils._detect_file_type)

    def leave(self, utils: Any, pcam: Any) -> None:
        with self._lock:
            self._users -= 1
            if self._users:
                return
            utils._ARCHIVE_EXTRACTORS.update(self._extractors)
            utils._decompress = pcam._decompress = self._decompress


_replaced = _Replaced()


def _decompressing(detect: Callable[[Any], tuple[str, str | None, str | None]]) -> Callable[..., Path]:
    """torchvision's `_decompress` by `decompress_file`."""

    def decompress(from_path: Any, to_path: Any = None, remove_finished: bool = False) -> Path:
        suffix, archive, compression = detect(from_path)
        target = to_path or os.fspath(from_path).replace(suffix, archive or "")
        decompress_file(Path(from_path), Path(target), compression)
        if remove_finished:
            Path(from_path).unlink()
        return Path(target)

    return decompress


def unpack_tar(archive: str | Path, target: str | Path, compression: str | None = None) -> None:
    """Unpack a tar file, compressed or not, into a folder, which is made.

    Args:
        archive: the file.
        target: the folder.
        compression: ".gz", ".bz2", ".xz" or None.

    Raises:
        DataError: it is damaged, or holds what may not be unpacked; nothing of it is in the folder then.
        OSError: it can't be read, or the folder not be written.
    """
    _unpacked(Path(archive), Path(target), compression, _fill_from_tar)


def unpack_zip(archive: str | Path, target: str | Path, compression: str | None = None) -> None:
    """Unpack a zip file into a folder, as `unpack_tar` does; how its members are compressed it says itself."""
    _unpacked(Path(archive), Path(target), None, _fill_from_zip)


def decompress_file(source: Path, target: Path, compression: str | None) -> None:
    """Decompress one file into another, which appears when it is complete. Raises as `unpack_tar` does."""
    budget = _Budget(source)
    with _damage_named(source), _OPENERS[compression](source, "rb") as packed:
        atomic_write(target, lambda file: _copy(packed, file, budget))


_Fill = Callable[[Path, Path, str | None], None]


class _Budget:
    """Bytes that an archive may still unpack to."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._size = archive.stat().st_size
        self._left = self.limit = max(_ALWAYS_ALLOWED_BYTES, _MOST_TIMES * self._size)

    def spend(self, count: int) -> None:
        """Take so many. Raises DataError when there are not so many left."""
        self._left -= count
        if self._left < 0:
            raise DataError(
                f"{self._archive}: not unpacked: its {self._size / 1e6:,.1f} MB would become more than "
                f"{self.limit / 1e9:,.1f} GB, which no data does; delete it and download it from its publisher"
            )


class _Counted:
    """The decompressed bytes of a tar file, headers too, each of which is paid for."""

    def __init__(self, file: IO[bytes], budget: _Budget) -> None:
        self._file, self._budget = file, budget

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._budget.spend(len(content))
        return content


def _unpacked(archive: Path, target: Path, compression: str | None, fill: _Fill) -> None:
    is_new = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    folder = target / f".unpacking-{secrets.token_hex(4)}"
    folder.mkdir(mode=0o755)
    try:
        with _damage_named(archive):
            fill(archive, folder, compression)
        _move_into(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if is_new:
            # torchvision takes a folder that is there for the unpacked set. Of a sound archive it is not empty.
            with contextlib.suppress(OSError):
                target.rmdir()


@contextlib.contextmanager
def _damage_named(archive: Path) -> Iterator[None]:
    """Turn what readers raise for bytes that are no archive into a DataError."""
    try:
        yield
    except (*_READING_ERRORS, gzip.BadGzipFile, ValueError, RuntimeError) as error:
        raise DataError(
            f"{archive}: can't be unpacked: {error or type(error).__name__}; delete it and download it again"
        ) from error


def _fill_from_tar(archive: Path, folder: Path, compression: str | None) -> None:
    links: list[tuple[tarfile.TarInfo, Path]] = []
    budget = _Budget(archive)
    with _OPENERS[compression](archive, "rb") as packed:
        counted: Any = _Counted(packed, budget)
        # As a stream: nothing is looked at twice, and nothing is read that is not paid for.
        with tarfile.open(fileobj=counted, mode="r|") as members:
            for member in members:
                path = _place_of(archive, folder, member.name)
                if member.isdir():
                    _make_folder(archive, path)
                elif member.issym() or member.islnk():
                    links.append((member, path))
                elif member.isreg():
                    # The holes of a sparse file are bytes that nobody has paid for.
                    budget.spend(member.size if member.issparse() else 0)
                    content = members.extractfile(member)
                    assert content is not None
                    _write(archive, path, content)
                else:
                    raise _refused(archive, member.name, "is a device, a FIFO or of an unknown kind")
    # At the end, so that no file is ever written through one.
    for member, path in links:
        _link(archive, folder, member, path)


def _fill_from_zip(archive: Path, folder: Path, _: str | None) -> None:
    budget = _Budget(archive)
    with zipfile.ZipFile(archive) as members:
        for member in members.infolist():
            # Members may share their bytes in the file, but not in the folder. No more than this is read of one.
            budget.spend(member.file_size)
        for member in members.infolist():
            path = _place_of(archive, folder, member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                _make_folder(archive, path)
            elif kind in (0, stat.S_IFREG):
                with members.open(member) as content:
                    _write(archive, path, content)
            else:
                raise _refused(archive, member.filename, "is a link, a device or a FIFO")


def _place_of(archive: Path, folder: Path, name: str) -> Path:
    """Where a member goes. Raises DataError for a name that leads out of the folder."""
    parts = PurePosixPath(name).parts
    if not name or "\0" in name or name.startswith("/") or ".." in parts:
        raise _refused(archive, name, "leads out of the folder")
    return folder.joinpath(*parts)


def _make_folder(archive: Path, path: Path) -> None:
    try:
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise _refused(archive, path.name, "is a file and a folder") from error


def _write(archive: Path, path: Path, content: IO[bytes]) -> None:
    """Write a file. Where an archive holds one twice, the last is kept, as tar itself does it."""
    _make_folder(archive, path.parent)
    if path.is_dir():
        raise _refused(archive, path.name, "is a file and a folder")
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        _copy(content, file, None)


def _link(archive: Path, folder: Path, member: tarfile.TarInfo, path: Path) -> None:
    """Make a link to another member, or another name of it."""
    base = path.parent if member.issym() else folder
    place = os.path.normpath(base / member.linkname)
    if os.path.isabs(member.linkname) or not f"{place}/".startswith(f"{folder}/"):
        raise _refused(archive, member.name, "is a link out of the archive")
    _make_folder(archive, path.parent)
    if os.path.lexists(path) or path.parent.resolve() != path.parent.absolute():
        raise _refused(archive, member.name, "is a link and something else")
    if member.issym():
        path.symlink_to(member.linkname)
        return
    if not stat.S_ISREG(os.lstat(place).st_mode):
        raise _refused(archive, member.name, "is a link to what is no file")
    os.link(place, path)


def _copy(source: IO[bytes], file: IO[bytes], budget: _Budget | None) -> None:
    while piece := source.read(_PIECE):
        if budget is not None:
            budget.spend(len(piece))
        file.write(piece)


def _move_into(folder: Path, target: Path) -> None:
    """Move everything in a folder into another, where files of the same name are replaced."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        there = target / entry.name
        if entry.is_dir(follow_symlinks=False) and there.is_dir() and not there.is_symlink():
            _move_into(Path(entry.path), there)
        else:
            os.replace(entry.path, there)


def _refused(archive: Path, name: str, why: str) -> DataError:
    return DataError(
        f"{archive}: not unpacked: its member {name[:200]!r} {why}, as in no archive of a data set; delete it and "
        "download it from its publisher"
    )
