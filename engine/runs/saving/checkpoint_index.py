"""`checkpoints/index.json`: what the checkpoints of a run hold, so that a list of them opens none.

A cache. An entry counts only while its file has the size and time it was written with.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ...errors import CheckpointError
from ...files.durable import SYSTEM, FileOperations, atomic_write
from ...files.json_values import numbers, numbers_restored, to_json
from ...run_files import BEST_FILE, CHECKPOINTS, LAST_FILE
from ...tensor_files.checkpoint_file import inspect_checkpoint
from ..on_disk.directory import read_json_object
from .pins import pinned_by
from .recorded_checkpoints import RecordedCheckpoint, extent_of, read_recorded

INDEX_FILE = "index.json"
# The checkpoints of a run that keeps all of them, hundreds of thousands.
_MAX_INDEX_BYTES = 128 << 20

_STEP_FILE = re.compile(r"step-(\d{9,18})\.pt")


@dataclass(frozen=True)
class IndexEntry:
    """One checkpoint in the index.

    Attributes:
        step: optimizer steps done.
        epoch: epochs completed; None when its file doesn't say.
        metrics: validation metrics at that point, if it was evaluated there.
        reason: why it was saved.
        was_best: whether it was the best of the run when it was saved.
        bytes: size of the file.
        modified_ns: the file's modification time, in nanoseconds since 1970.
    """

    step: int
    epoch: int | None
    metrics: dict[str, float]
    reason: str
    was_best: bool
    bytes: int
    modified_ns: int

    @cached_property
    def encoded(self) -> str:
        """The entry as JSON. Kept, since the whole index is written with every save."""
        return to_json(asdict(self)).decode()


@dataclass(frozen=True)
class CheckpointInfo:
    """One checkpoint of a run as a list shows it.

    Attributes:
        file: its name in the run's `checkpoints` folder; of one that another program saved its absolute path.
        step: optimizer steps done.
        epoch: epochs completed; 0 when its file doesn't say.
        metrics: validation metrics at that point, if it was evaluated there.
        bytes: size of the file.
        modified: when it was written, in seconds since 1970.
        is_best: whether it is the file that `best.pt` names.
        is_last: whether it is the file that `last.pt` names.
        is_pinned: whether the user keeps it.
        reason: why it was saved; empty when not known.
        problem: why it can't be read; empty when it can.
    """

    file: str
    step: int
    epoch: int
    metrics: dict[str, float]
    bytes: int
    modified: float
    is_best: bool
    is_last: bool
    is_pinned: bool = False
    reason: str = ""
    problem: str = ""


@dataclass
class _Found:
    """A regular file in the checkpoints folder; `names` are the further names that it has."""

    folder: Path
    name: str
    status: os.stat_result
    names: set[str] = field(default_factory=set)

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @property
    def identity(self) -> tuple[int, int]:
        return self.status.st_dev, self.status.st_ino


def step_file(step: int) -> str:
    """The name of the checkpoint of a step."""
    return f"step-{step:09d}.pt"


def step_of(name: str) -> int | None:
    """The step in a checkpoint's name; None if it is not such a name."""
    match = _STEP_FILE.fullmatch(name)
    return int(match[1]) if match else None


def read_index(folder: Path) -> dict[str, IndexEntry]:
    """The entries by file name; those that can't be understood are left out."""
    entries = {}
    for name, value in read_json_object(folder / INDEX_FILE, _MAX_INDEX_BYTES).items():
        if (entry := _entry_from(value)) is not None:
            entries[name] = entry
    return entries


def write_index(folder: Path, entries: dict[str, IndexEntry], operations: FileOperations = SYSTEM) -> None:
    """Replace the index. Raises OSError."""
    lines = [f"{to_json(name).decode()}:{entry.encoded}" for name, entry in sorted(entries.items())]
    document = "{\n" + ",\n".join(lines) + "\n}"
    atomic_write(folder / INDEX_FILE, document.encode(), durable=False, operations=operations)


def list_checkpoints(run: Path) -> list[CheckpointInfo]:
    """The checkpoints of a run, the newest step first.

    Reads the index and one `stat` a file; a file the index doesn't know is looked into, without torch. Symbolic links
    and anything but regular files are passed over.
    """
    folder = run / CHECKPOINTS
    index = read_index(folder)
    checkpoints = [_info(found, index.get(found.name)) for found in find_checkpoint_files(folder)]
    checkpoints += recorded_infos(read_recorded(folder))
    return sorted(checkpoints, key=lambda checkpoint: (checkpoint.step, checkpoint.file), reverse=True)


def recorded_infos(recorded: list[RecordedCheckpoint]) -> list[CheckpointInfo]:
    """Checkpoints of another program, as far as they are still there; the newest of the best ones is the best."""
    there = [(known, extent) for known in recorded if (extent := extent_of(Path(known.path))) is not None]
    best = max((at for at, (known, _) in enumerate(there) if known.was_best), default=-1)
    return [
        CheckpointInfo(
            file=known.path,
            step=known.step,
            epoch=known.epoch,
            metrics=known.metrics,
            bytes=extent[0],
            modified=extent[1],
            is_best=at == best,
            is_last=at == len(there) - 1,
            reason="recorded",
        )
        for at, (known, extent) in enumerate(there)
    ]


def find_checkpoint_files(folder: Path) -> list[_Found]:
    """The checkpoint files in a folder; `last.pt`, `best.pt` and pins on their own only when no other name is left."""
    try:
        with os.scandir(folder) as entries:
            files = [_Found(folder, entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    except OSError:
        return []
    files = [file for file in files if stat.S_ISREG(file.status.st_mode)]
    by_identity = {file.identity: file for file in files if step_of(file.name) is not None}
    by_name = {file.name: file for file in by_identity.values()}
    for file in files:
        if pinned := pinned_by(file.name):
            # A pin may be a copy where there are no hard links, and of an earlier save of the same step.
            (by_name.get(pinned) or by_identity.setdefault(file.identity, file)).names.add(file.name)
    by_stamp = {(file.status.st_size, file.status.st_mtime_ns): file for file in by_name.values()}
    for file in files:
        if file.name in (LAST_FILE, BEST_FILE):
            # In a copy of a run the names are files of their own, which have the time of the one that they were.
            copied = by_stamp.get((file.status.st_size, file.status.st_mtime_ns), file)
            (by_identity.get(file.identity) or by_identity.setdefault(copied.identity, copied)).names.add(file.name)
    return list(by_identity.values())


def rebuilt_index(folder: Path, index: dict[str, IndexEntry]) -> dict[str, IndexEntry]:
    """The index of the existing files: known entries that are still valid, and new entries from the other files."""
    rebuilt = {}
    for found in find_checkpoint_files(folder):
        entry = _entry_that_holds(found, index.get(found.name)) or _entry_from_file(found)
        if entry is not None and step_of(found.name) is not None:
            rebuilt[found.name] = entry
    return rebuilt


def _info(found: _Found, entry: IndexEntry | None) -> CheckpointInfo:
    problem = ""
    entry = _entry_that_holds(found, entry)
    if entry is None:
        try:
            entry = _entry_read_from(found)
        except CheckpointError as error:
            problem = str(error)
    return CheckpointInfo(
        file=found.name,
        step=entry.step if entry is not None else step_of(found.name) or 0,
        epoch=entry.epoch or 0 if entry is not None else 0,
        metrics=entry.metrics if entry is not None else {},
        bytes=found.status.st_size,
        modified=found.status.st_mtime,
        is_best=BEST_FILE in found.names,
        is_last=LAST_FILE in found.names,
        is_pinned=any(pinned_by(name) for name in found.names),
        reason=entry.reason if entry is not None else "",
        problem=problem,
    )


def _entry_that_holds(found: _Found, entry: IndexEntry | None) -> IndexEntry | None:
    if entry is None or (entry.bytes, entry.modified_ns) != (found.status.st_size, found.status.st_mtime_ns):
        return None
    return entry


def _entry_from_file(found: _Found) -> IndexEntry | None:
    try:
        return _entry_read_from(found)
    except CheckpointError:
        return None


def _entry_read_from(found: _Found) -> IndexEntry:
    """Index entry of a file. Raises CheckpointError."""
    report = inspect_checkpoint(found.path)
    named = step_of(found.name)
    return IndexEntry(
        step=report.step if report.step is not None else named or 0,
        epoch=report.epoch,
        metrics=report.metrics,
        reason="",
        was_best=BEST_FILE in found.names,
        bytes=found.status.st_size,
        modified_ns=found.status.st_mtime_ns,
    )


def _entry_from(value: Any) -> IndexEntry | None:
    if not isinstance(value, dict):
        return None
    try:
        entry = IndexEntry(**value)
    except TypeError:
        return None
    whole = (entry.step, entry.bytes, entry.modified_ns)
    if not _are_whole(whole) or not isinstance(entry.epoch, int | None):
        return None
    return IndexEntry(
        step=entry.step,
        epoch=entry.epoch,
        metrics=numbers(numbers_restored(entry.metrics)),
        reason=str(entry.reason),
        was_best=entry.was_best is True,
        bytes=entry.bytes,
        modified_ns=entry.modified_ns,
    )


def _are_whole(values: Iterable[Any]) -> bool:
    return all(isinstance(value, int) and not isinstance(value, bool) for value in values)
