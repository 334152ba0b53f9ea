"""The formats that are known, and which of them a path is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import RunError, UnknownRunError
from ..runs.on_disk.directory import find_run, is_run, run_directories
from ..runs.reader import RunReader
from ..runs.run_view import RunView
from ..runs.saving.checkpoint_index import CheckpointInfo, list_checkpoints
from ..series_names import split_of
from ..user_path import user_path
from .mlflow import MlflowFiles
from .reader import ForeignReader
from .source import Format
from .tables import CsvFile, JsonLinesFile, LightningCsv, LogFile, Ultralytics
from .tensorboard import TensorBoard
from .trainer_state import TrainerState
from .wandb import WandbOffline

FORMATS: tuple[Format, ...] = (
    WandbOffline(),
    MlflowFiles(),
    LightningCsv(),
    Ultralytics(),
    TrainerState(),
    TensorBoard(),
    CsvFile(),
    JsonLinesFile(),
)
"""The first that claims a folder has it: those that know more of a run come first."""

_LOG = LogFile()
_MOST_FOLDERS = 20_000
_MOST_RUNS = 5000
_DEEPEST = 10
_PASSED_OVER = frozenset(("node_modules", "__pycache__", "site-packages", "proc", "sys"))


@dataclass(frozen=True)
class ForeignRun:
    """A run of another trainer that was found.

    Attributes:
        path: its folder or file.
        format: what wrote it.
    """

    path: Path
    format: Format

    def reader(self) -> ForeignReader:
        """A reader of it."""
        return ForeignReader(self.path, self.format.open(self.path), self.format.title)


def runs_in(folder: Path) -> tuple[list[ForeignRun], list[str]]:
    """The runs of other trainers directly in a folder, and the folders below it that may hold more."""
    files, folders = _entries(folder)
    for format in FORMATS:
        if claimed := format.claims(folder, files, folders):
            below = [] if claimed == [folder] else folders
            if isinstance(format, TensorBoard):
                below = [name for name in folders if not split_of(name)]
            return [ForeignRun(path, format) for path in claimed], below
    return [], folders


def discovered(root: Path) -> Iterator[ForeignRun]:
    """All runs of other trainers below a folder; torchdeck's own, hidden folders and links are passed over."""
    waiting, seen, found = [(root, 0)], 0, 0
    while waiting and seen < _MOST_FOLDERS and found < _MOST_RUNS:
        folder, depth = waiting.pop()
        seen += 1
        if is_run(folder):
            continue
        runs, below = runs_in(folder)
        found += len(runs)
        yield from runs
        if depth < _DEEPEST:
            waiting += [(folder / name, depth + 1) for name in sorted(below, reverse=True)]


def foreign_run(path: Path) -> ForeignRun | None:
    """The run of another trainer that a path is: a folder, or a file; None if it is none."""
    if path.is_dir():
        runs, _ = runs_in(path)
        return runs[0] if len(runs) == 1 else None
    if not path.is_file():
        return None
    for format in (*FORMATS, _LOG):
        claimed = format.claims(path.parent, [path.name], [])
        if claimed:
            return ForeignRun(path if claimed == [path.parent] else claimed[0], format)
    return None


def is_any_run(path: Path) -> bool:
    """Whether the path is a run of torchdeck or of another trainer."""
    return is_run(path) or foreign_run(path) is not None


def holds_runs(folder: Path) -> bool:
    """Whether a folder holds runs of torchdeck, or of other trainers at any depth."""
    return bool(run_directories(folder)) or next(discovered(folder), None) is not None


def open_run(path: Path) -> RunView:
    """A reader of the run at a path, of torchdeck or of another trainer. Raises RunError when it is none."""
    if is_run(path):
        return RunReader(path)
    if (found := foreign_run(path)) is not None:
        return found.reader()
    titles = ", ".join(format.title for format in FORMATS)
    raise RunError(f"{path}: is not a run of torchdeck, and of no other trainer that is known: {titles}")


def checkpoints_of(path: Path) -> list[CheckpointInfo]:
    """The checkpoints of the run at a path, the newest first; none if nothing there is a run."""
    if is_run(path):
        return list_checkpoints(path)
    found = foreign_run(path)
    return found.reader().checkpoints() if found is not None else []


def find_any_run(root: Path, reference: str) -> Path:
    """The run that a reference names: a run of torchdeck, or the path of one of another trainer.

    Raises:
        UnknownRunError: there is none.
    """
    try:
        return find_run(root, reference)
    except UnknownRunError:
        path = user_path(reference)
        if not path.exists():
            raise
        if foreign_run(path) is None:
            inside = [run.path for run in _first(discovered(path), 3)] if path.is_dir() else []
            if inside:
                named = ", ".join(map(str, inside))
                raise UnknownRunError(f"{reference}: holds several runs: {named}, …; name one of them") from None
            raise
        return path


def _first(runs: Iterator[ForeignRun], count: int) -> Iterator[ForeignRun]:
    for _ in range(count):
        if (run := next(runs, None)) is None:
            return
        yield run


def _entries(folder: Path) -> tuple[list[str], list[str]]:
    files: list[str] = []
    folders: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and entry.name not in _PASSED_OVER:
                        folders.append(entry.name)
                elif entry.is_file():
                    files.append(entry.name)
    except OSError:
        return [], []
    return files, folders
