"""JPEG files by torchcodec, whose decoder takes less time than Pillow's and gives the same pixels.

torchcodec's image decoding needs none of the FFmpeg libraries that its videos need. What it might read otherwise than
Pillow is left to Pillow: CMYK, an EXIF block that isn't plain, and every file that it refuses.
"""

from __future__ import annotations

import functools
import importlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ....files.regular_file import open_regular_file

SUFFIXES = frozenset({".jpg", ".jpeg"})

# Markers that stand alone, and those that begin a frame: SOF0 to SOF15 but DHT, JPG and DAC (ITU T.81, table B.1).
_ALONE = frozenset({0x01, *range(0xD0, 0xD8)})
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_APPLICATION_1, _APPLICATION_15 = 0xE1, 0xEF

_ORIENTATION, _SHORT = 0x0112, 3


@dataclass(frozen=True)
class JpegHeader:
    """Header of a JPEG file.

    Attributes:
        height, width: in pixels, as stored.
        channels: 1 gray, 3 color, 4 CMYK.
        orientation: EXIF's, 1 (as stored) to 8; None where it stands in a form that is not read here.
        exif: where the markers of its EXIF blocks are.
    """

    height: int
    width: int
    channels: int
    orientation: int | None
    exif: tuple[int, ...]


def jpeg_header(data: bytes | bytearray) -> JpegHeader | None:
    """Read the segments before the pixels; None where they are not those of a JPEG file with 8 bits per channel."""
    if data[:2] != b"\xff\xd8":
        return None
    position, exif, orientation = 2, cast(tuple[int, ...], ()), cast(int | None, 1)
    while position + 10 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in _ALONE:
            position += 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, position + 4)
            return JpegHeader(height, width, channels, orientation, exif) if bits == 8 and height and width else None
        if marker == _START_OF_SCAN:
            return None
        if marker == _APPLICATION_1:
            block = bytes(data[position + 4 : position + 2 + length])
            if block.startswith(b"Exif\0\0"):
                # Of several blocks Pillow joins what they hold.
                orientation = _orientation(block[6:]) if not exif else None
                exif += (position + 1,)
            elif b"rientation" in block:
                orientation = None
        position += 2 + length
    return None


def _orientation(tiff: bytes) -> int | None:
    """The orientation in an EXIF block (TIFF 6.0, section 2); 1 without one, None for what is not plain."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 10:
        return None
    (first,) = struct.unpack_from(f"{order}I", tiff, 4)
    if first + 2 > len(tiff):
        return None
    (entries,) = struct.unpack_from(f"{order}H", tiff, first)
    if first + 2 + 12 * entries > len(tiff):
        return None
    for entry in range(entries):
        tag, kind, count, value = struct.unpack_from(f"{order}HHIH", tiff, first + 2 + 12 * entry)
        if tag == _ORIENTATION:
            return value if kind == _SHORT and count == 1 and 1 <= value <= 8 else None
    return 1


def read_jpeg(path: Path, mode: str, *, turns: bool) -> Tensor | None:
    """Decode a file, to the pixels that Pillow gives.

    Args:
        path: the file.
        mode: "L" or "RGB".
        turns: whether it is turned as its EXIF orientation says.

    Returns:
        uint8 [C, H, W]; None for what is to be left to Pillow, which also says what is wrong with a file.
    """
    decode = torchcodec_decoder()
    if decode is None:
        return None
    try:
        with os.fdopen(open_regular_file(path, follow_links=True), "rb") as file:
            data = bytearray(file.read())
    except OSError:
        return None
    header = jpeg_header(data)
    if header is None or header.channels not in (1, 3) or (mode == "L" and header.channels != 1):
        return None
    if turns and header.orientation is None:
        return None
    for marker in header.exif:
        # torchcodec would turn the image by itself; under another number it doesn't look into the block.
        data[marker] = _APPLICATION_15
    try:
        pixels = decode(torch.frombuffer(data, dtype=torch.uint8), mode="GRAY" if mode == "L" else "RGB")
    except RuntimeError:
        return None
    return turned(pixels, header.orientation or 1) if turns else pixels


def turned(pixels: Tensor, orientation: int) -> Tensor:
    """Pixels [C, H, W] as they are to be seen, by their EXIF orientation (CIPA DC-008, 4.6.5.1.6)."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 2)
    mirrored = [axis for axis, which in ((2, (2, 3, 6, 7)), (1, (3, 4, 7, 8))) if orientation in which]
    return pixels.flip(mirrored) if mirrored else pixels


@functools.cache
def torchcodec_decoder() -> Callable[..., Tensor] | None:
    """torchcodec's `decode_jpeg`; None where it is not installed or doesn't fit the installed torch."""
    try:
        decoders = importlib.import_module("torchcodec.decoders")
    except (ImportError, OSError, RuntimeError):
        return None
    return cast(Callable[..., Tensor] | None, getattr(decoders, "decode_jpeg", None))
