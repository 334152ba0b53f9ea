"""Files are replaced whole or not at all, whichever operation fails and wherever the process is killed."""

from __future__ import annotations

import errno
import os
from functools import partial
from pathlib import Path
from typing import BinaryIO

import pytest
from failing_operations import KILLED, FailingOperations
from forked import status_of_fork

from torchdeck.engine.files.durable import FileOperations, atomic_write, remove_temporary_files, replace_with_link

ERRORS = [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS, errno.EACCES]
MANY = range(1, 50)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_in_three_pieces(file: BinaryIO) -> None:
    for piece in (b"new ", b"content ", b"in pieces"):
        file.write(piece)


@pytest.mark.parametrize("error", ERRORS)
def test_every_operation_that_fails_leaves_the_old_file_and_no_temporary_one(tmp_path: Path, error: int) -> None:
    path = tmp_path / "file"
    failed = []
    for at in MANY:
        path.write_bytes(b"old content")
        operations = FailingOperations(at, error)
        try:
            atomic_write(path, write_in_three_pieces, operations=operations)
        except OSError as raised:
            assert raised.errno == error
        if not operations.failed:
            break
        failed.append(operations.failed)
        is_renamed = "rename" in failed[:-1]
        assert path.read_bytes() == (b"new content in pieces" if is_renamed else b"old content")
        assert names(tmp_path) == ["file"]
    assert failed == ["open", "write", "write", "write", "fsync", "rename", "open", "fsync"]
    assert path.read_bytes() == b"new content in pieces"


def test_the_true_error_is_raised_when_the_content_writer_hides_it(tmp_path: Path) -> None:
    def hide(file: BinaryIO) -> None:
        try:
            file.write(b"x" * 100)
        except OSError:
            raise RuntimeError("unexpected pos 64 vs 0") from None

    with pytest.raises(OSError, match="No space left") as raised:
        atomic_write(tmp_path / "file", hide, operations=FailingOperations(2, errno.ENOSPC))
    assert raised.value.errno == errno.ENOSPC


def test_an_error_that_the_content_writer_swallows_still_fails_the_write(tmp_path: Path) -> None:
    def swallow(file: BinaryIO) -> None:
        try:
            file.write(b"x" * 100)
        except OSError:
            return

    with pytest.raises(OSError, match="No space left"):
        atomic_write(tmp_path / "file", swallow, operations=FailingOperations(2, errno.ENOSPC))
    assert names(tmp_path) == []


def test_an_exception_of_the_content_writer_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise KeyError("loss")

    with pytest.raises(KeyError, match="loss"):
        atomic_write(tmp_path / "file", fail)
    assert names(tmp_path) == []


def test_killed_at_every_operation_the_file_is_the_old_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    seen = set()
    for at in MANY:
        path.write_bytes(b"old content")
        operations = FailingOperations(at, None)
        status = status_of_fork(partial(atomic_write, path, write_in_three_pieces, operations=operations))
        assert status in (len(b"new content in pieces"), KILLED)
        seen.add(path.read_bytes())
        remove_temporary_files(tmp_path)
        assert names(tmp_path) == ["file"]
        if status != KILLED:
            break
    assert at > 5
    assert seen == {b"old content", b"new content in pieces"}


def test_short_writes_are_finished(tmp_path: Path) -> None:
    class OneByte(FileOperations):
        def write(self, descriptor: int, data: memoryview) -> int:
            return super().write(descriptor, data[:1])

    written = atomic_write(tmp_path / "file", b"0123456789" * 5, operations=OneByte())
    assert (tmp_path / "file").read_bytes() == b"0123456789" * 5
    assert written == 50


def test_a_file_gets_the_mode_asked_for_and_not_that_of_a_temporary_file(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        atomic_write(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_link_is_another_name_of_the_same_file(tmp_path: Path) -> None:
    first, second, name = tmp_path / "first", tmp_path / "second", tmp_path / "last"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    for source in (first, second, second):
        replace_with_link(source, name)
        assert os.path.samefile(source, name)
    assert names(tmp_path) == ["first", "last", "second"]


@pytest.mark.parametrize("error", [errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK])
def test_where_there_are_no_hard_links_a_copy_is_made(tmp_path: Path, error: int) -> None:
    (tmp_path / "file").write_bytes(b"weights")
    replace_with_link(tmp_path / "file", tmp_path / "last", FailingOperations(1, error))
    assert (tmp_path / "last").read_bytes() == b"weights"
    assert not os.path.samefile(tmp_path / "file", tmp_path / "last")


def test_a_link_that_fails_leaves_the_old_one(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).write_text(name)
    replace_with_link(tmp_path / "old", tmp_path / "last")
    for at in (1, 2):
        with pytest.raises(OSError, match="Input/output"):
            replace_with_link(tmp_path / "new", tmp_path / "last", FailingOperations(at, errno.EIO))
        assert (tmp_path / "last").read_text() == "old"
        assert names(tmp_path) == ["last", "new", "old"]
