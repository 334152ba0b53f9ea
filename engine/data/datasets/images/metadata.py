"""Image files without what they say beside their pixels.

A comment, a color profile or an EXIF block that is damaged makes decoders refuse the whole file. What is left here is
what the pixels need, and the EXIF block where it stands in one piece, as it says how a photograph is turned.
"""

from __future__ import annotations

import struct
import zlib

_PNG = b"\x89PNG\r\n\x1a\n"
# A chunk's name begins with a small letter where the pixels don't need it (PNG third edition, 5.4).
_ANCILLARY = 0x20

_START_OF_SCAN = 0xDA
_COMMENT = 0xFE
_APPLICATION = range(0xE0, 0xF0)
# Segments that say how colors are stored, with the bytes that they need to say it.
_COLOR_SEGMENTS = {0xE0: (b"JFIF\0", 14), 0xEE: (b"Adobe", 12)}
_EXIF = 0xE1

_WEBP_EXTENDED, _WEBP_EXIF = b"VP8X", b"EXIF"
_WEBP_PIXELS = frozenset({b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"})
# Bits of VP8X that announce a color profile, EXIF and XMP.
_PROFILE_BIT, _EXIF_BIT, _XMP_BIT = 0x20, 0x08, 0x04


def without_metadata(content: bytes) -> bytes | None:
    """The same picture without what its pixels don't need; None for another type than PNG, JPEG or WebP."""
    if content.startswith(_PNG):
        return _png(content)
    if content.startswith(b"\xff\xd8"):
        return _jpeg(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _webp(content)
    return None


def _png(content: bytes) -> bytes:
    kept, position = [_PNG], len(_PNG)
    while position + 12 <= len(content):
        length, name = struct.unpack_from(">I4s", content, position)
        end = position + 12 + length
        chunk = content[position:end]
        if not name[0] & _ANCILLARY or (name == b"eXIf" and _is_whole(chunk)):
            kept.append(chunk)
        position = end
    return b"".join(kept)


def _is_whole(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]) == int.from_bytes(chunk[-4:], "big")


def _jpeg(content: bytes) -> bytes:
    kept, position = [content[:2]], 2
    while position + 4 <= len(content) and content[position] == 0xFF:
        marker, length = struct.unpack_from(">xBH", content, position)
        if marker == _START_OF_SCAN:
            break
        segment = content[position : position + 2 + length]
        if marker not in (*_APPLICATION, _COMMENT) or _is_needed(marker, segment[4:]):
            kept.append(segment)
        position += 2 + length
    return b"".join((*kept, content[position:]))


def _is_needed(marker: int, body: bytes) -> bool:
    if marker == _EXIF:
        return body.startswith(b"Exif\0\0")
    name, length = _COLOR_SEGMENTS.get(marker, (b"", 0))
    return bool(name) and body.startswith(name) and len(body) >= length


def _webp(content: bytes) -> bytes:
    kept, position = list[tuple[bytes, bytes]](), 12
    while position + 8 <= len(content):
        name, length = struct.unpack_from("<4sI", content, position)
        body = content[position + 8 : position + 8 + length]
        if name in _WEBP_PIXELS or name == _WEBP_EXTENDED or (name == _WEBP_EXIF and len(body) == length):
            kept.append((name, body))
        position += 8 + length + length % 2
    has_exif = any(name == _WEBP_EXIF for name, _ in kept)
    dropped = _PROFILE_BIT | _XMP_BIT | (0 if has_exif else _EXIF_BIT)
    parts = [b"WEBP"]
    for name, body in kept:
        if name == _WEBP_EXTENDED and body:
            body = bytes([body[0] & ~dropped & 0xFF]) + body[1:]
        parts.append(name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2))
    whole = b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole
