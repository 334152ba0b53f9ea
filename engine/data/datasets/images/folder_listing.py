"""List the data in an image folder, and count what is left out so that it can be reported.

Editors, file servers and archivers keep folders of their own among the user's, full of thumbnails and old copies of
the images. Such a folder is neither a class nor walked into, at any depth.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from ....errors import DataError
from ....plurals import plural

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")

# Of macOS's archiver, Synology, QNAP, Windows, ext4 and Python. All others begin with a dot.
_TOOL_FOLDERS = frozenset(
    {
        "__macosx",
        "__pycache__",
        "@eadir",
        "@tmp",
        "@recycle",
        "@recently-snapshot",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "system volume information",
        "lost+found",
    }
)
# Images that the user may expect to be read.
_UNREAD_TYPES = frozenset(
    {".avif", ".dcm", ".dng", ".exr", ".gif", ".heic", ".heif", ".jp2", ".jxl", ".npy", ".psd", ".raw", ".svg", ".tga"}
)
_NAMED = 3


@dataclass
class LeftOut:
    """Entries of a folder that are not read.

    Attributes:
        folders: of tools, and hidden ones, relative to the folder.
        hidden: images whose names begin with a dot.
        loose: images that lie beside the class folders.
        unread: images of types that are not read, by their ending.
    """

    folders: list[str] = field(default_factory=list)
    hidden: int = 0
    loose: int = 0
    unread: Counter[str] = field(default_factory=Counter)

    def sentence(self, folder: Path) -> str:
        """For the user; empty where nothing was left out."""
        parts = []
        if self.folders:
            more = f" and {len(self.folders) - _NAMED:,} more" if len(self.folders) > _NAMED else ""
            parts.append(f"hidden folders and folders of tools: {', '.join(sorted(self.folders)[:_NAMED])}{more}")
        if self.hidden:
            parts.append(f"{plural(self.hidden, 'image')} with hidden names")
        if self.loose:
            parts.append(f"{plural(self.loose, 'image')} beside the class folders")
        if self.unread:
            types = ", ".join(f"{count:,} {ending}" for ending, count in sorted(self.unread.items()))
            parts.append(f"images of types that are not read ({types})")
        return f"left out of {folder}: {'; '.join(parts)}" if parts else ""


def is_tool_folder(name: str) -> bool:
    """Whether a folder of this name belongs to a tool rather than to the data: hidden ones, `__MACOSX`, `@eaDir`, …"""
    return name.startswith(".") or name.lower() in _TOOL_FOLDERS


def class_folders(folder: Path, left_out: LeftOut) -> list[str]:
    """Names of the class folders in `folder`, sorted. Raises DataError when it can't be read."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((entry.name, entry.is_dir()) for entry in entries)
    except OSError as error:
        _refuse_unreadable(error)
    for name, is_folder in found:
        if is_folder and is_tool_folder(name):
            left_out.folders.append(name)
        elif not is_folder and name.lower().endswith(EXTENSIONS):
            left_out.loose += 1
    return [name for name, is_folder in found if is_folder and not is_tool_folder(name)]


def image_files(root: Path, folder: Path, left_out: LeftOut, report: Callable[[int], None]) -> list[str]:
    """Names relative to `root` of all images below `folder`, sorted. Follows links, each real folder once.

    Args:
        root: what the names are relative to.
        folder: in `root`.
        left_out: takes what is not read.
        report: called for every folder with the number of images found so far; what it raises ends the listing.

    Raises:
        DataError: a folder that can't be read.
    """
    found: list[str] = []
    seen: set[str] = set()
    for parent, subfolders, names in os.walk(folder, onerror=_refuse_unreadable, followlinks=True):
        report(len(found))
        real = os.path.realpath(parent)
        if real in seen:
            subfolders.clear()
            continue
        seen.add(real)
        relative = os.path.relpath(parent, root)
        left_out.folders += [os.path.join(relative, name) for name in subfolders if is_tool_folder(name)]
        subfolders[:] = [name for name in subfolders if not is_tool_folder(name)]
        for name in names:
            ending = os.path.splitext(name)[1].lower()
            if ending in _UNREAD_TYPES:
                left_out.unread[ending] += 1
            elif not name.lower().endswith(EXTENSIONS):
                continue
            elif name.startswith("."):
                left_out.hidden += 1
            else:
                found.append(os.path.join(relative, name))
    return sorted(found)


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise DataError(f"{error.filename}: can't be read: {error.strerror or error}") from error
