"""TensorBoard's event files: the scalars of a folder, read without TensorBoard.

A file is a row of records: their length (8 bytes) and its checksum, an Event as a protocol buffer, and its checksum.
torch's SummaryWriter, Lightning, Keras, Hugging Face and timm write them.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from ..series_names import split_of
from .fields import ProtoError, bytes_of, double_of, fields, float_of, signed, text_of
from .files import Files, ParsedFile
from .source import SECONDS, Facts, Figure, Source
from .tail import FileTail

_HEAD = struct.Struct("<QI")
_HEAD_BYTES, _FOOT_BYTES = 12, 4
# Longer records hold images and sounds, and are passed over unread.
_LONGEST_SCALARS = 1 << 20
_EVENT_FILES = "tfevents"
_TRUSTED_LENGTH = 4096
# Of an event with one scalar, up to the length of the tag: time, step, summary, value, tag.
_PLAIN_SCALAR = re.compile(
    rb"\x09(.{8})(?:\x10([\x80-\xff]{0,8}[\x00-\x7f]))?\x2a[\x80-\xff]?[\x00-\x7f]\x0a[\x80-\xff]?[\x00-\x7f]"
    rb"\x0a[\x00-\x7f]",
    re.DOTALL,
)
_SIMPLE_VALUE = 0x15
_FLOAT, _DOUBLE = struct.Struct("<f"), struct.Struct("<d")
# DataType of TensorFlow: how the content of a tensor is packed.
_PACKED = {1: "f", 2: "d", 3: "i", 9: "q"}


class TensorBoard:
    """Folders with event files; folders below them that are named for a split belong to the same run."""

    title = "TensorBoard"

    def claims(self, folder: Path, files: Collection[str], folders: Collection[str]) -> list[Path]:
        """The folder, if event files are in it or in a folder of a split below it."""
        if any(_EVENT_FILES in name for name in files):
            return [folder]
        splits = [name for name in folders if split_of(name)]
        return [folder] if any(_event_files(folder / name) for name in splits) else []

    def open(self, path: Path) -> Source:
        """The source of a folder, or of one event file."""
        return _EventFolder(path)


class _EventFile:
    """One event file.

    Attributes:
        tail: its position.
        prefix: what is put before the tags: the split of its folder.
        problem: why it can't be read on.
    """

    def __init__(self, path: Path, prefix: str) -> None:
        self.tail = FileTail(path)
        self.prefix = prefix
        self.problem = ""
        self._skipped = 0
        self._tags: dict[bytes, str] = {}
        self._told_at = math.inf

    def read(self, max_bytes: int) -> list[Figure]:
        """The figures of the whole records that are new."""
        content = self.tail.read(max_bytes)
        if self.tail.was_replaced:
            self.problem, self._skipped = "", 0
        if self.tail.has_more and not self._skipped and _length_of_first(content) > len(content):
            was_replaced = self.tail.was_replaced
            content = self.tail.read(_LONGEST_SCALARS + _HEAD_BYTES + _FOOT_BYTES)
            self.tail.was_replaced = was_replaced
        if self.problem:
            return []
        figures: list[Figure] = []
        at = min(self._skipped, len(content))
        self._skipped -= at
        while at + _HEAD_BYTES <= len(content):
            length, checksum = _HEAD.unpack_from(content, at)
            # In Python a checksum takes as long as the rest of a short record, and only a length can lead astray.
            if length > _TRUSTED_LENGTH and masked_crc32c(content[at : at + 8]) != checksum:
                self.problem = f"{self.tail.path.name}: damaged at byte {self.tail.offset + at:,}"
                break
            end = at + _HEAD_BYTES + length + _FOOT_BYTES
            if length <= _LONGEST_SCALARS:
                if end > len(content):
                    break
                if not self._add_plain(figures, content, at + _HEAD_BYTES, end - _FOOT_BYTES):
                    self._add_any(figures, content[at + _HEAD_BYTES : end - _FOOT_BYTES])
            self._skipped = max(0, end - len(content))
            at = min(end, len(content))
        self.tail.take(at)
        return figures

    def _add_plain(self, figures: list[Figure], content: bytes, begin: int, end: int) -> bool:
        """Add the scalar of an event as torch's SummaryWriter writes it. False for any other event."""
        found = _PLAIN_SCALAR.match(content, begin, end)
        if found is None:
            return False
        tag_end = found.end() + content[found.end() - 1]
        if tag_end + 5 != end or content[tag_end] != _SIMPLE_VALUE:
            return False
        written = content[found.end() : tag_end]
        tag = self._tags.get(written)
        if tag is None:
            tag = self._tags[written] = f"{self.prefix}{written.decode('utf-8', 'replace')}"
        step, shift = 0, 0
        for byte in found[2] or b"":
            step |= (byte & 0x7F) << shift
            shift += 7
        figures.append(Figure(tag, step, _FLOAT.unpack_from(content, tag_end + 1)[0]))
        self._add_time(figures, step, _DOUBLE.unpack(found[1])[0])
        return True

    def _add_any(self, figures: list[Figure], event: bytes) -> None:
        """Add the scalars of any event."""
        seconds, step, summary = 0.0, 0, b""
        try:
            for number, value in fields(event):
                if number == 1:
                    seconds = double_of(value)
                elif number == 2:
                    step = signed(value)
                elif number == 5:
                    summary = bytes_of(value)
            if not summary or step < 0:
                return
            found = [scalar for number, value in fields(summary) if number == 1 and (scalar := _scalar(value))]
        except (ProtoError, struct.error):
            # A record of another kind of event.
            return
        figures += (Figure(f"{self.prefix}{tag}", step, scalar_value) for tag, scalar_value in found)
        if found:
            self._add_time(figures, step, seconds)

    def _add_time(self, figures: list[Figure], step: int, seconds: float) -> None:
        """Add when a step was, unless that was told of one less than a second ago."""
        if not self._told_at <= seconds < self._told_at + 1:
            self._told_at = seconds
            figures.append(Figure(SECONDS, step, seconds))


class _EventFolder(Files):
    """The event files of a run, in the order of their names, which begin with the time."""

    def __init__(self, path: Path) -> None:
        super().__init__(self._found)
        self._path = path

    def facts(self) -> Facts:
        """When the run began and last wrote."""
        begun = [seconds for path in self.paths if (seconds := _begun(path.name))]
        return Facts(started=min(begun, default=0.0), modified=self.modified)

    def _found(self) -> dict[Path, Callable[[], ParsedFile]]:
        if self._path.is_file():
            return {self._path: lambda: _EventFile(self._path, "")}
        found: dict[Path, Callable[[], ParsedFile]] = {}
        for folder in (self._path, *_split_folders(self._path)):
            prefix = "" if folder == self._path else f"{folder.name}/"
            found |= {path: partial(_EventFile, path, prefix) for path in _event_files(folder)}
        return found


def _length_of_first(content: bytes) -> int:
    """Bytes of the first record."""
    if len(content) < _HEAD_BYTES:
        return _HEAD_BYTES
    return int(_HEAD.unpack_from(content)[0]) + _HEAD_BYTES + _FOOT_BYTES


def _event_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if _EVENT_FILES in path.name and path.is_file())
    except OSError:
        return []


def _split_folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if split_of(path.name) and path.is_dir())
    except OSError:
        return []


def _begun(name: str) -> float:
    """When an event file was begun, from its name: events.out.tfevents.1700000000.host.…"""
    after = name.partition(f"{_EVENT_FILES}.")[2].partition(".")[0]
    return float(after) if after.isdecimal() and len(after) < 12 else 0.0


def _scalar(value: Any) -> tuple[str, float] | None:
    """Tag and value of a Summary.Value that is a scalar; None for images, histograms and texts. Raises ProtoError."""
    tag, scalar, plugin, tensor = "", None, "", b""
    for number, content in fields(bytes_of(value)):
        if number == 1:
            tag = text_of(content)
        elif number == 2:
            scalar = float_of(content)
        elif number == 8:
            tensor = bytes_of(content)
        elif number == 9:
            plugin = _plugin(bytes_of(content))
    if scalar is None and tensor and plugin in ("", "scalars"):
        scalar = _number_in(tensor)
    return (tag, scalar) if tag and scalar is not None else None


def _plugin(metadata: bytes) -> str:
    for number, value in fields(metadata):
        if number == 1:
            return next((text_of(name) for inner, name in fields(bytes_of(value)) if inner == 1), "")
    return ""


def _number_in(tensor: bytes) -> float | None:
    """The one number in a TensorProto; None if there are several, or none."""
    kind, packed = 0, b""
    for number, value in fields(tensor):
        if number == 1 and isinstance(value, int):
            kind = value
        elif number == 4:
            packed = bytes_of(value)
        elif number in (5, 6):
            width, form = (4, "<f") if number == 5 else (8, "<d")
            if isinstance(value, int):
                return float_of(value) if number == 5 else double_of(value)
            return float(struct.unpack(form, value)[0]) if len(value) == width else None
        elif number in (7, 10) and isinstance(value, int):
            return float(signed(value))
    form = _PACKED.get(kind, "")
    if form and len(packed) == struct.calcsize(f"<{form}"):
        return float(struct.unpack(f"<{form}", packed)[0])
    return None


def _crc_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def masked_crc32c(data: bytes) -> int:
    """The checksum of TFRecord files: CRC-32C, masked."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF
