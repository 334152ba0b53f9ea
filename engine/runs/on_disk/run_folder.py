"""Where the directory of a live run is: followed by its descriptor when it is renamed, deleted, or out of reach."""

from __future__ import annotations

import enum
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from ...files.state_folder import state_folder
from .directory import is_run


class Place(enum.Enum):
    """What a look for a run's directory found."""

    THERE = enum.auto()
    RENAMED = enum.auto()
    DELETED = enum.auto()
    OUT_OF_REACH = enum.auto()


class RunFolder:
    """The directory of a live run.

    Attributes:
        path: where it was when it was last seen.
    """

    def __init__(self, path: Path, held: Path) -> None:
        """Hold the directory.

        Args:
            path: where it is.
            held: the same by way of a descriptor, which may be closed later.

        Raises:
            OSError: the system refuses.
        """
        self.path = path
        self._descriptor = os.open(held, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def look(self) -> Place:
        """See where it is now; `path` then says so. One that lacks its config or its checkpoints counts as deleted.

        One that exists though no path leads to it is out of reach: its disk was unmounted, or a network is down.
        """
        if self._is_at(self.path) and is_run(self.path):
            return Place.THERE
        if self._is_at(self.path):
            # Looked at once more: it may have been renamed or unmounted in between.
            return Place.DELETED
        try:
            found = Path(os.readlink(f"/proc/self/fd/{self._descriptor}"))
        except OSError:
            return Place.DELETED
        if not self._is_at(found):
            # Linux says so of what is deleted, and of nothing else.
            return Place.DELETED if found.name.endswith(" (deleted)") else Place.OUT_OF_REACH
        if not is_run(found):
            return Place.DELETED
        self.path = found
        return Place.RENAMED

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def _is_at(self, path: Path) -> bool:
        try:
            return os.path.samestat(os.stat(path), os.fstat(self._descriptor))
        except OSError:
            return False


def renamed_to(path: Path, identity: tuple[int, int]) -> Path | None:
    """Where a run's directory is that was renamed within its folder; None when it isn't there.

    Args:
        path: where it was.
        identity: its device and inode.
    """
    try:
        with os.scandir(path.parent) as entries:
            names = [entry.name for entry in entries if entry.inode() == identity[1]]
    except OSError:
        return None
    found = [path.with_name(name) for name in names]
    return next((folder for folder in found if folder_identity(folder) == identity and is_run(folder)), None)


def folder_identity(path: Path) -> tuple[int, int] | None:
    """Device and inode of what lies at a path; None when nothing does."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def rescue_root() -> Path:
    """Where runs go on whose own place takes nothing: below the user's state folder."""
    return state_folder() / "rescued"


def make_rescue_folder(lost: Path, files: dict[str, bytes], checkpoints: str, roots: Sequence[Path]) -> Path:
    """Make a run's directory in place of one that was deleted or can't be written.

    Args:
        lost: where that one was.
        files: names and contents of the files that make it a run.
        checkpoints: name of the folder of checkpoints.
        roots: folders to try, in this order.

    Raises:
        OSError: none of them takes it.
    """
    problem: OSError | None = None
    for root in roots:
        for number in range(1, 1000):
            folder = root / (f"{lost.name}-rescued" + (f"-{number}" if number > 1 else ""))
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                problem = error
                break
            try:
                (folder / checkpoints).mkdir()
                for name, content in files.items():
                    (folder / name).write_bytes(content)
            except OSError as error:
                # A full disk: what was begun is no run.
                shutil.rmtree(folder, ignore_errors=True)
                problem = error
                break
            return folder
    raise problem or FileExistsError(f"{roots[-1]}: holds 999 rescued runs of this name")
