"""Image files as a data set, and folders of them: one folder per class, possibly below train/, val/ and test/."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from ....errors import DataError
from ....progress import Progress, unreported
from .files import QUARTER_TURNS, open_image, orientation, read_pixels, refuse_deep
from .folder_listing import EXTENSIONS, LeftOut, class_folders, image_files
from .jpeg import SUFFIXES, read_jpeg

# Takes a second or two.
_HEADERS_READ = 50_000
_REPORT_EVERY = 256

_GREY_MODES = frozenset({"1", "L"})


@dataclass(frozen=True)
class FolderDataset:
    """Image files, decoded when they are asked for. Transparency is dropped, as torchvision's ImageFolder does.

    Attributes:
        root: folder that the files' names are relative to.
        files: names of the files; of a folder of images sorted.
        targets: int64 [n] class indices.
        mode: "L" where every image is gray, else "RGB", to which all others are converted.
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
        return read_pixels(path, self.mode, turns=self.turns), int(self.targets[index])

    def states(self) -> Iterator[tuple[str, os.stat_result | None]]:
        """Every file's name and state, links followed; None for one that isn't there, as a dangling link's."""
        for file in self.files:
            try:
                yield file, os.stat(os.path.join(self.root, file))
            except OSError:
                yield file, None

    @cached_property
    def has_one_size(self) -> bool:
        """Whether all images have one size, by their headers; in a very large folder the first files speak for all."""
        first: tuple[int, int] | None = None
        for file in self.files[:_HEADERS_READ]:
            try:
                with open_image(self.root / file) as image:
                    size = image.size
                    if self.turns and orientation(image) in QUARTER_TURNS:
                        size = size[::-1]
            except Exception:
                # Decoding names the file and says what is wrong with it.
                continue
            if first is not None and size != first:
                return False
            first = size
        return True


def find_classes(folder: Path, left_out: LeftOut | None = None) -> list[str]:
    """Names of the class folders below `folder`, sorted; folders of tools are not classes.

    Args:
        folder: folder that contains one folder per class.
        left_out: collects what is not read.

    Raises:
        DataError: there are none, or it can't be read.
    """
    left_out = LeftOut() if left_out is None else left_out
    classes = class_folders(folder, left_out)
    if not classes:
        found = f"it contains {left_out.loose:,} images directly" if left_out.loose else "it contains no folders"
        if not left_out.loose and left_out.folders:
            found = f"it contains only hidden folders and folders of tools ({', '.join(left_out.folders)})"
        raise DataError(
            f"{folder}: {found}; expected one folder of images per class, {folder.name}/<class>/*.jpg "
            f"(or {folder.name}/train/<class>/*.jpg and {folder.name}/val/<class>/*.jpg)"
        )
    _refuse_twins(folder, classes)
    return classes


def _refuse_twins(folder: Path, classes: list[str]) -> None:
    """Raise DataError for two folders whose names look the same: they would be two classes."""
    seen: dict[str, str] = {}
    for name in classes:
        if (twin := seen.setdefault(unicodedata.normalize("NFC", name), name)) != name:
            raise DataError(
                f"{folder}: two class folders look the same, '{name}', and differ only in how Unicode spells it: "
                f"{twin!a} and {name!a}; move the images of one into the other (file systems of macOS "
                "decompose letters with accents)"
            )


def open_folder(
    folder: Path,
    classes: list[str],
    mode: str | None = None,
    turns: bool = True,
    progress: Progress = unreported,
    notes: list[str] | None = None,
) -> FolderDataset:
    """Open `folder/<class>/**/*.jpg` and the like.

    Args:
        folder: folder that contains one folder per class.
        classes: the class names whose indices become targets; a folder of another name is an error.
        mode: "L" or "RGB"; None to look into the files.
        turns: whether photographs are turned as their EXIF orientation says.
        progress: called with the number of files found, then of headers read.
        notes: takes what the user should know: what was left out.

    Raises:
        DataError: a class without images, a folder that isn't one of the classes.
    """
    left_out = LeftOut()
    found = find_classes(folder, left_out)
    unknown = [name for name in found if name not in classes]
    if unknown:
        same = {unicodedata.normalize("NFC", name): name for name in classes}
        twin = same.get(unicodedata.normalize("NFC", unknown[0]))
        hint = f"; its '{twin}' is spelled differently in Unicode: {twin!a}, not {unknown[0]!a}" if twin else ""
        raise DataError(f"{folder / unknown[0]}: the training split has no class '{unknown[0]}'{hint}")
    files: list[str] = []
    targets: list[int] = []

    def report(count: int) -> None:
        progress(f"listing {folder.name}", len(files) + count, 0)

    for name in found:
        members = image_files(folder, folder / name, left_out, report)
        if not members:
            raise DataError(f"{folder / name}: no images in it (known file types: {', '.join(EXTENSIONS)})")
        files += members
        targets += [classes.index(name)] * len(members)
    if notes is not None and (sentence := left_out.sentence(folder)):
        notes.append(sentence)
    if mode is None:
        mode = "RGB" if first_colored(folder, files, progress) else "L"
    return FolderDataset(folder, tuple(files), np.asarray(targets, dtype=np.int64), mode, turns)


def first_colored(folder: Path, files: Sequence[str], progress: Progress) -> str | None:
    """The first of some files that is not gray by its header; None where all are.

    Raises:
        DataError: a file with more than 8 bits per channel.
    """
    for done, file in enumerate(files):
        if done % _REPORT_EVERY == 0:
            progress("checking for color", done, len(files))
        if not _is_gray(folder / file):
            return file
    return None


def _is_gray(path: Path) -> bool:
    """Whether a file's header says gray. A file that can't be opened doesn't decide: reading it names it later."""
    try:
        with open_image(path) as image:
            refuse_deep(image, path)
            return image.mode in _GREY_MODES
    except DataError:
        raise
    except Exception:
        return True
