"""Image files as a data set, and folders of them: one folder a class, possibly below train/, val/ and test/."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ...errors import DataError
from ...progress import Progress, unreported
from .jpeg import SUFFIXES, read_jpeg

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

# Takes a second or two.
_HEADERS_READ = 50_000
_REPORT_EVERY = 256

_GREY_MODES = frozenset({"1", "L"})
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
_QUARTER_TURNS = frozenset({5, 6, 7, 8})

# Pillow clips these to 255 when it converts them, which turns most of such an image white.
_DEEP_MODES = frozenset({"I", "F", "I;16", "I;16B", "I;16L", "I;16N"})


@dataclass(frozen=True)
class FolderDataset:
    """Image files, decoded when they are asked for. Transparency is dropped, as torchvision's ImageFolder does.

    Attributes:
        root: folder that the files' names are relative to.
        files: names of the files; of a folder of images sorted.
        targets: int64 [n] class indices.
        mode: "L" where every image is grey, else "RGB", to which all others are converted.
        turns: whether photographs are turned as their EXIF orientation says; torchvision's ImageFolder leaves them.
    """

    root: Path
    files: tuple[str, ...]
    targets: NDArray[np.int64]
    mode: str
    turns: bool = True

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int, /) -> tuple[Image.Image | Tensor, int]:
        """Decode one file, to an image or to pixels uint8 [C, H, W]. Raises DataError that names it."""
        path = self.root / self.files[index]
        if path.suffix.lower() in SUFFIXES:
            decoded = read_jpeg(path, self.mode, turns=self.turns)
            if decoded is not None:
                return decoded, int(self.targets[index])
        try:
            with Image.open(path) as image:
                _refuse_deep(image, path)
                pixels = image.convert(self.mode)
                turn = _TURNS.get(orientation(image)) if self.turns else None
                return pixels if turn is None else pixels.transpose(turn), int(self.targets[index])
        except DataError:
            raise
        except Exception as error:
            # Pillow's decoders raise OSError, SyntaxError, ValueError, struct.error, DecompressionBombError, …
            raise DataError(f"{path}: can't be decoded: {error}") from error

    @cached_property
    def has_one_size(self) -> bool:
        """Whether all images have one size, by their headers; in a very large folder the first files speak for all."""
        first: tuple[int, int] | None = None
        for file in self.files[:_HEADERS_READ]:
            try:
                with Image.open(self.root / file) as image:
                    size = image.size
                    if self.turns and orientation(image) in _QUARTER_TURNS:
                        size = size[::-1]
            except Exception:
                # Decoding names the file and says what is wrong with it.
                continue
            if first is not None and size != first:
                return False
            first = size
        return True


def find_classes(folder: Path) -> list[str]:
    """Names of the class folders below `folder`, sorted; hidden ones are not classes. Raises DataError without any."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder}: can't be read: {error.strerror or error}") from error
    classes = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    if not classes:
        loose = sum(entry.suffix.lower() in EXTENSIONS for entry in entries)
        found = f"{loose:,} images lie directly in it" if loose else "it holds no folders"
        raise DataError(
            f"{folder}: {found}; expected one folder of images a class, {folder.name}/<class>/*.jpg "
            f"(or {folder.name}/train/<class>/*.jpg and {folder.name}/val/<class>/*.jpg)"
        )
    return classes


def open_folder(
    folder: Path,
    classes: list[str],
    mode: str | None = None,
    turns: bool = True,
    progress: Progress = unreported,
) -> FolderDataset:
    """Open `folder/<class>/**/*.jpg` and the like.

    Args:
        folder: holds one folder a class.
        classes: the class names whose indices become targets; a folder of another name is an error.
        mode: "L" or "RGB"; None to look into the files.
        turns: whether photographs are turned as their EXIF orientation says.
        progress: called with the number of files found, then of headers read.

    Raises:
        DataError: a class without images, a folder that isn't one of the classes.
    """
    found = find_classes(folder)
    unknown = [name for name in found if name not in classes]
    if unknown:
        raise DataError(f"{folder / unknown[0]}: the training split has no class '{unknown[0]}'")
    files: list[str] = []
    targets: list[int] = []
    for name in found:
        members: list[str] = []
        for member in _image_files(folder, folder / name):
            if len(members) % _REPORT_EVERY == 0:
                progress(f"listing {folder.name}", len(files) + len(members), 0)
            members.append(member)
        members.sort()
        if not members:
            raise DataError(f"{folder / name}: no images in it (known file types: {', '.join(EXTENSIONS)})")
        files += members
        targets += [classes.index(name)] * len(members)
    if mode is None:
        mode = "L" if _all_grey(folder, files, progress) else "RGB"
    return FolderDataset(folder, tuple(files), np.asarray(targets, dtype=np.int64), mode, turns)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation of an opened file, 1 to 8; 1 where it says nothing. Reads the header only."""
    if "exif" not in image.info and image.format != "TIFF":
        # Asking a PNG without it would decode the whole file.
        return 1
    return int(image.getexif().get(_ORIENTATION, 1))


def _image_files(root: Path, folder: Path) -> Iterator[str]:
    """Names relative to `root` of all images below `folder`. Follows links, each real folder once."""
    seen: set[str] = set()
    for parent, subfolders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        relative = os.path.relpath(parent, root)
        for name in names:
            if name.lower().endswith(EXTENSIONS) and not name.startswith("."):
                yield os.path.join(relative, name)


def _all_grey(folder: Path, files: list[str], progress: Progress) -> bool:
    for done, file in enumerate(files):
        if done % _REPORT_EVERY == 0:
            progress("looking for colour", done, len(files))
        if not _is_grey(folder / file):
            return False
    return True


def _is_grey(path: Path) -> bool:
    """Whether a file's header says grey. A file that can't be opened doesn't decide: reading it names it later."""
    try:
        with Image.open(path) as image:
            _refuse_deep(image, path)
            return image.mode in _GREY_MODES
    except DataError:
        raise
    except Exception:
        return True


def _refuse_deep(image: Image.Image, path: Path) -> None:
    if image.mode in _DEEP_MODES:
        raise DataError(
            f"{path}: has more than 8 bits a channel (Pillow's mode {image.mode}), which would be clipped; "
            'convert it to 8 bits, or read it with a data set of your own: data.dataset = "path/to/file.py:factory"'
        )
