"""Reading image files with Pillow: only regular files, and whatever their metadata say."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from ....errors import DataError
from ....files.regular_file import open_regular_file
from .metadata import without_metadata

# EXIF's orientation tag, and what undoes each of its values (CIPA DC-008, 4.6.5.1.6).
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
QUARTER_TURNS = frozenset({5, 6, 7, 8})
_AS_STORED = 1

# Pillow clips these to 255 when it converts them, which turns most of such an image white.
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


@contextlib.contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image file; its header is read, its pixels are not. Metadata that can't be read are left out.

    Raises:
        OSError: it isn't there, or no regular file.
        Exception: what Pillow's readers raise: SyntaxError, ValueError, struct.error, DecompressionBombError, …
    """
    with open_binary(path) as file:
        try:
            image: Image.Image = Image.open(file)
        except Exception:
            image = _pixels_only(file)
        with image:
            yield image


def read_pixels(path: Path, mode: str, *, turns: bool) -> Image.Image:
    """Decode an image file.

    Args:
        path: the file.
        mode: "L" or "RGB", to which it is converted.
        turns: whether it is turned as its EXIF orientation says.

    Raises:
        DataError: it can't be decoded, or has more than 8 bits per channel; names the file.
    """
    try:
        with open_image(path) as image:
            refuse_deep(image, path)
            turn = _TURNS.get(orientation(image)) if turns else None
            pixels = _converted(image, path, mode)
            return pixels if turn is None else pixels.transpose(turn)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: can't be decoded: {_words(error)}") from error


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an opened file, 1 to 8; 1 where it says nothing that can be read. Decodes no pixels."""
    if "exif" not in image.info and image.format != "TIFF":
        # Asking a PNG without it would decode the whole file.
        return _AS_STORED
    try:
        value = int(image.getexif().get(_ORIENTATION, _AS_STORED))
    except Exception:
        # Pillow's reader of EXIF raises SyntaxError, ValueError, TypeError, struct.error, …
        return _AS_STORED
    return value if value in _TURNS else _AS_STORED


def refuse_deep(image: Image.Image, path: Path) -> None:
    """Raise DataError for an image with more than 8 bits per channel."""
    if image.mode in _DEEP_MODES:
        raise DataError(
            f"{path}: has more than 8 bits per channel (Pillow's mode {image.mode}), which would be clipped; "
            'convert it to 8 bits, or read it with a data set of your own: data.dataset = "path/to/file.py:factory"'
        )


def open_binary(path: Path) -> BinaryIO:
    """A regular file for reading, links followed. Raises OSError, immediately for a FIFO or a device, too."""
    return os.fdopen(open_regular_file(path, follow_links=True), "rb")


def _converted(image: Image.Image, path: Path, mode: str) -> Image.Image:
    try:
        return image.convert(mode)
    except Exception as error:
        # Some metadata stand behind the pixels.
        with open_binary(path) as file:
            try:
                with _pixels_only(file) as pixels:
                    return pixels.convert(mode)
            except Exception:
                raise error from None


def _pixels_only(file: BinaryIO) -> Image.Image:
    """The image in a file without its metadata. Raises what Pillow raises for it."""
    file.seek(0)
    content = file.read()
    return Image.open(io.BytesIO(without_metadata(content) or content))


def _words(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image, or damaged at its beginning"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
