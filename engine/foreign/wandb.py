"""W&B's offline runs: `run-ID.wandb`, a log of records in blocks, read without W&B.

A file is a head of 7 bytes and blocks of 32 kB; a record, a protocol buffer, is cut into pieces that end with their
block. A piece is its checksum (4 bytes), its length (2), its kind (1) and its bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ..files.documents import DocumentError, parse_json
from ..files.json_values import numbers_restored
from .fields import ProtoError, bytes_of, fields, signed, text_of
from .files import Files
from .source import EPOCH, SECONDS, Facts, Figure, Source
from .tail import FileTail
from .text_lines import flat_numbers

_MAGIC = b":W&B"
_HEAD_BYTES = 7
_BLOCK = 32768
_PIECE = struct.Struct("<IHB")
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_MOST_BYTES = 64 << 20  # of one record
# Fields of a Record.
_HISTORY, _CONFIG, _RUN, _EXIT = 2, 5, 17, 18


class WandbOffline:
    """Folders of offline and online runs: `offline-run-…/run-ID.wandb`."""

    title = "W&B"

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """The folder, if it holds such a file."""
        return [folder] if any(_is_run_file(name) for name in files) else []

    def open(self, path: Path) -> Source:
        """The source of such a folder, or of the file."""
        if path.is_dir():
            path = next((each for each in sorted(path.iterdir()) if _is_run_file(each.name)), path)
        return _WandbRun(path)


class _WandbFile:
    """One such file.

    Attributes:
        tail: its position.
        problem: why it can't be read on.
        config: settings by name.
        name: display name of the run.
        started: when it began, in seconds since 1970; 0 if unknown.
        exit_code: how its program ended; None while it has not.
    """

    def __init__(self, path: Path) -> None:
        self.tail = FileTail(path)
        self.begin_again()

    def begin_again(self) -> None:
        """The file was replaced."""
        self.problem = ""
        self.config: dict[str, Any] = {}
        self.name = ""
        self.started = 0.0
        self.exit_code: int | None = None
        self._record = b""

    def read(self, max_bytes: int) -> list[Figure]:
        """The figures of the whole records that are new."""
        content = self.tail.read(max(max_bytes, 2 * _BLOCK))
        if self.tail.was_replaced:
            self.begin_again()
        if self.problem:
            return []
        figures: list[Figure] = []
        start, at = self.tail.offset, 0
        if start == 0:
            if len(content) < _HEAD_BYTES:
                return []
            if not content.startswith(_MAGIC):
                self.problem = f"{self.tail.path.name}: is not a file of W&B"
                return []
            at = _HEAD_BYTES
        while True:
            room = _BLOCK - (start + at) % _BLOCK
            if room < _PIECE.size:
                if at + room > len(content):
                    break
                at += room
                continue
            if at + _PIECE.size > len(content):
                break
            _, length, kind = _PIECE.unpack_from(content, at)
            if kind == 0 and length == 0:
                # A block that was begun and is not filled yet.
                if at + room > len(content):
                    break
                at += room
                continue
            if kind > _LAST or length > room - _PIECE.size:
                self.problem = f"{self.tail.path.name}: damaged at byte {start + at:,}"
                break
            end = at + _PIECE.size + length
            if end > len(content):
                break
            figures += self._joined(kind, content[at + _PIECE.size : end])
            at = end
        self.tail.take(at)
        return figures

    def _joined(self, kind: int, piece: bytes) -> list[Figure]:
        if kind in (_FULL, _FIRST):
            self._record = piece
        elif len(self._record) + len(piece) <= _MOST_BYTES:
            self._record += piece
        if kind not in (_FULL, _LAST):
            return []
        record, self._record = self._record, b""
        try:
            return self._understood(record)
        except ProtoError:
            return []

    def _understood(self, record: bytes) -> list[Figure]:
        for number, value in fields(record):
            if number == _HISTORY:
                return _history(bytes_of(value))
            if number == _CONFIG:
                self.config |= _items(bytes_of(value))
            elif number == _RUN:
                self._understand_run(bytes_of(value))
            elif number == _EXIT:
                codes = [signed(code) for inner, code in fields(bytes_of(value)) if inner == 1]
                self.exit_code = codes[0] if codes else 0
        return []

    def _understand_run(self, run: bytes) -> None:
        for number, value in fields(run):
            if number == 4 and isinstance(value, bytes):
                self.config |= _items(value)
            elif number == 6 and isinstance(value, bytes):
                self.name = text_of(value)
            elif number == 17 and isinstance(value, bytes):
                seconds = [signed(part) for inner, part in fields(value) if inner == 1]
                self.started = float(seconds[0]) if seconds else 0.0


class _WandbRun(Files):
    def __init__(self, path: Path) -> None:
        self._file = _WandbFile(path)
        super().__init__(lambda: {path: self._reopened})

    def _reopened(self) -> _WandbFile:
        self._file = _WandbFile(self._file.tail.path)
        return self._file

    def facts(self) -> Facts:
        """Its settings, when it began and how it ended."""
        file = self._file
        status = "" if file.exit_code is None else "failed" if file.exit_code else "finished"
        error = f"its program exited with status {file.exit_code}" if file.exit_code else ""
        settings = {name: value for name, value in file.config.items() if not name.startswith("_")}
        return Facts(status=status, error=error, started=file.started, modified=self.modified, settings=settings)


def _is_run_file(name: str) -> bool:
    return name.startswith("run-") and name.endswith(".wandb")


def _history(message: bytes) -> list[Figure]:
    values = dict(flat_numbers(_items(message)))
    step = values.pop("_step", 0.0)
    seconds, epoch = values.pop("_timestamp", None), values.pop("epoch", None)
    found = [Figure(name, step, value) for name, value in values.items() if not name.startswith("_")]
    if epoch is not None:
        found.append(Figure(EPOCH, step, epoch))
    return found if seconds is None else [*found, Figure(SECONDS, step, seconds)]


def _items(message: bytes) -> dict[str, Any]:
    """The items of a record by name: in history the first field, in config the first, too. Values are JSON."""
    found: dict[str, Any] = {}
    for number, value in fields(message):
        if number != 1 or not isinstance(value, bytes):
            continue
        names, text = [], ""
        for inner, part in fields(value):
            if inner in (1, 2) and isinstance(part, bytes):
                names.append(text_of(part))
            elif inner == 16 and isinstance(part, bytes):
                text = text_of(part)
        try:
            found["/".join(names)] = numbers_restored(parse_json(text))
        except DocumentError:
            continue
    return found
