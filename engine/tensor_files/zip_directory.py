"""The table of contents of a zip archive as torch.save writes it, read without believing anything in it.

torch stores its entries uncompressed in one top folder; whatever else a zip may hold (compression, encryption,
overlapping or doubled entries, paths upwards) is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import CheckpointError
from .bounds import MAX_DIRECTORY_BYTES

_END = struct.Struct("<4sHHHHIIH")
_END64 = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<4sIQI")
_DIRECTORY_ENTRY = struct.Struct("<4sHHHHHHIIIHHHHHII")
_LOCAL_HEADER = struct.Struct("<4sHHHHHIIIHH")

_LONGEST_COMMENT = 0xFFFF
_IN_EXTRA = 0xFFFFFFFF
# Of the attributes of MS-DOS, which stand in the lower half of an entry's external attributes.
_IS_FOLDER = 0x10
_MAX_NAME_BYTES = 4096


@dataclass(frozen=True)
class ZipEntry:
    """One stored file of an archive.

    Attributes:
        name: its path in the archive.
        header_offset: where its local header begins, in bytes from the archive's beginning.
        bytes: its size.
        crc32: the checksum that the directory declares for its content.
    """

    name: str
    header_offset: int
    bytes: int
    crc32: int


def read_zip_directory(file: BinaryIO, size: int) -> dict[str, ZipEntry]:
    """The entries of the archive in an open file of `size` bytes, by name. Raises CheckpointError."""
    count, directory_bytes, offset = _find_directory(file, size)
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise CheckpointError(f"its table of contents is larger than {MAX_DIRECTORY_BYTES >> 20} MB")
    if offset + directory_bytes > size or count * _DIRECTORY_ENTRY.size > directory_bytes:
        raise CheckpointError("is damaged: its table of contents lies outside of the file")
    file.seek(offset)
    directory = file.read(directory_bytes)
    # Told before an entry is refused for its compression, which programs have too.
    if b"/constants.pkl" in directory:
        raise CheckpointError("is a TorchScript program, which contains code, not only weights")
    if b"/archive_format" in directory:
        raise CheckpointError("is an exported .pt2 program, which contains code, not only weights")
    entries: dict[str, ZipEntry] = {}
    position = 0
    for _ in range(count):
        entry, position = _read_entry(directory, position)
        if entry.header_offset + _LOCAL_HEADER.size + entry.bytes > offset:
            raise CheckpointError("is damaged: it declares more data than the file has")
        if entry.name in entries:
            raise CheckpointError("contains two entries with the same name, which torch.save never writes")
        entries[entry.name] = entry
    _refuse_overlaps(entries)
    return entries


def data_offset(file: BinaryIO, entry: ZipEntry) -> int:
    """Where an entry's content begins, in bytes from the archive's beginning. Raises CheckpointError."""
    file.seek(entry.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\3\4":
        raise CheckpointError(f"is damaged: the header of its part {entry.name} is missing")
    *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
    return entry.header_offset + _LOCAL_HEADER.size + int(name_bytes) + int(extra_bytes)


def _find_directory(file: BinaryIO, size: int) -> tuple[int, int, int]:
    """Number of entries, bytes and offset of the directory, from the record at the archive's end."""
    tail_bytes = min(size, _LONGEST_COMMENT + _END.size + _LOCATOR64.size)
    file.seek(size - tail_bytes)
    tail = file.read(tail_bytes)
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise CheckpointError("is truncated: the save was interrupted, or the copy is incomplete")
    _, _, _, _, count, directory_bytes, offset, _ = _END.unpack_from(tail, at)
    locator = tail[at - _LOCATOR64.size : at] if at >= _LOCATOR64.size else b""
    if locator[:4] != b"PK\6\7":
        if count == 0xFFFF or _IN_EXTRA in (directory_bytes, offset):
            raise CheckpointError("is damaged: the end of the archive contradicts itself")
        return count, directory_bytes, offset
    _, _, end64, _ = _LOCATOR64.unpack(locator)
    if end64 + _END64.size > size:
        raise CheckpointError("is damaged: the end of the archive lies outside of the file")
    file.seek(end64)
    record = _END64.unpack(file.read(_END64.size))
    if record[0] != b"PK\6\6":
        raise CheckpointError("is damaged: the end of the archive contradicts itself")
    return record[7], record[8], record[9]


def _read_entry(directory: bytes, position: int) -> tuple[ZipEntry, int]:
    """The directory entry at `position`, and where the next begins."""
    if position + _DIRECTORY_ENTRY.size > len(directory):
        raise CheckpointError("is damaged: its table of contents is truncated")
    fields = _DIRECTORY_ENTRY.unpack_from(directory, position)
    signature, flags, method, crc32 = fields[0], fields[3], fields[4], fields[7]
    stored, bytes_, name_bytes, extra_bytes, comment_bytes = fields[8], fields[9], fields[10], fields[11], fields[12]
    attributes, offset = fields[15], fields[16]
    if signature != b"PK\1\2":
        raise CheckpointError("is damaged: its table of contents is garbled")
    after_name = position + _DIRECTORY_ENTRY.size + name_bytes
    raw_name = directory[position + _DIRECTORY_ENTRY.size : after_name]
    extra = directory[after_name : after_name + extra_bytes]
    if _IN_EXTRA in (stored, bytes_, offset):
        bytes_, stored, offset = _large_values(extra, bytes_, stored, offset)
    if flags & 1:
        raise CheckpointError("is an encrypted archive")
    if method != 0 or stored != bytes_:
        raise CheckpointError("contains compressed entries, which torch.save never writes")
    name = raw_name.decode("utf-8", "backslashreplace")
    if attributes & _IS_FOLDER or name.endswith("/"):
        # torch would hand out memory as it lies there in place of the content.
        raise CheckpointError("is damaged: its table of contents has an unexpected folder")
    if len(raw_name) > _MAX_NAME_BYTES or ".." in name.split("/") or name.startswith("/") or "\0" in name:
        raise CheckpointError("contains an entry whose name leads out of the archive")
    return ZipEntry(name, offset, bytes_, crc32), after_name + extra_bytes + comment_bytes


def _large_values(extra: bytes, bytes_: int, stored: int, offset: int) -> tuple[int, int, int]:
    """The sizes and the offset that didn't fit 32 bits, from the zip64 part of an entry's extra field."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = [int.from_bytes(extra[at + 4 + i : at + 12 + i], "little") for i in range(0, length - 7, 8)]
            fields = [bytes_, stored, offset]
            for number, value in enumerate(fields):
                if value == _IN_EXTRA and values:
                    fields[number] = values.pop(0)
            return fields[0], fields[1], fields[2]
        at += 4 + length
    return bytes_, stored, offset


def _refuse_overlaps(entries: dict[str, ZipEntry]) -> None:
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            raise CheckpointError("contains entries that overlap")
        end = entry.header_offset + _LOCAL_HEADER.size + entry.bytes
