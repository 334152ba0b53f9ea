"""Fields of protocol buffers, as far as scalars need them: read in place, each with bounds."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Field = tuple[int, int | bytes]
"""Number of a field, and its value: a whole number for varints and fixed widths, bytes for what has a length."""

_MOST_VARINT = 10


class ProtoError(ValueError):
    """Bytes are not a message."""


def fields(message: bytes) -> Iterator[Field]:
    """The fields of a message. Fixed widths are whole numbers: see `float_of` and `double_of`. Raises ProtoError."""
    at, end = 0, len(message)
    while at < end:
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(message, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ProtoError(f"a field of kind {kind}")
        if at + length > end:
            raise ProtoError("a field is longer than its message")
        piece = message[at : at + length]
        yield key >> 3, piece if kind == 2 else int.from_bytes(piece, "little")
        at += length


def double_of(bits: int | bytes) -> float:
    """A fixed field of 8 bytes as a number. Raises ProtoError."""
    if not isinstance(bits, int) or bits.bit_length() > 64:
        raise ProtoError("not a double")
    value: float = struct.unpack("<d", bits.to_bytes(8, "little"))[0]
    return value


def float_of(bits: int | bytes) -> float:
    """A fixed field of 4 bytes as a number. Raises ProtoError."""
    if not isinstance(bits, int) or bits.bit_length() > 32:
        raise ProtoError("not a float")
    value: float = struct.unpack("<f", bits.to_bytes(4, "little"))[0]
    return value


def signed(value: int | bytes) -> int:
    """A varint as a signed number of 64 bits. Raises ProtoError."""
    if not isinstance(value, int):
        raise ProtoError("not a whole number")
    return value - (1 << 64) if value >= 1 << 63 else value


def bytes_of(value: int | bytes) -> bytes:
    """A field with a length. Raises ProtoError."""
    if not isinstance(value, bytes):
        raise ProtoError("not a field with a length")
    return value


def text_of(value: int | bytes) -> str:
    """A field of text; bytes that are no UTF-8 are replaced. Raises ProtoError."""
    return bytes_of(value).decode("utf-8", "replace")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for _ in range(_MOST_VARINT):
        if at >= len(message):
            raise ProtoError("a number is cut off")
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise ProtoError("a number of more than 10 bytes")
