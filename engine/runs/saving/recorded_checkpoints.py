"""`checkpoints/recorded.json`: checkpoints that another program saved elsewhere, with what they hold.

They stay where they are and belong to that program: they are listed and looked into, never deleted or pinned.
"""

from __future__ import annotations

import os
import stat
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...files.durable import SYSTEM, FileOperations, atomic_write
from ...files.json_values import number, numbers, numbers_restored, to_json, whole_number
from ..on_disk.directory import read_json_object

RECORDED_FILE = "recorded.json"

_MOST = 5000


@dataclass(frozen=True)
class RecordedCheckpoint:
    """A checkpoint of another program.

    Attributes:
        path: absolute path of its file, or of the folder that it is.
        step: optimizer steps done.
        epoch: epochs completed; 0 if not known.
        metrics: validation metrics at that point.
        was_best: whether the newest evaluation was the best when it was recorded.
        recorded: when, in seconds since 1970.
    """

    path: str
    step: int
    epoch: int
    metrics: dict[str, float]
    was_best: bool
    recorded: float


def read_recorded(folder: Path) -> list[RecordedCheckpoint]:
    """The recorded checkpoints of a run's `checkpoints` folder, in the order of recording."""
    found = [_restored(path, entry) for path, entry in read_json_object(folder / RECORDED_FILE).items()]
    return [checkpoint for checkpoint in found if checkpoint is not None][-_MOST:]


def write_recorded(folder: Path, checkpoints: list[RecordedCheckpoint], operations: FileOperations = SYSTEM) -> None:
    """Replace the list. Raises OSError."""
    document = {checkpoint.path: asdict(checkpoint) for checkpoint in checkpoints[-_MOST:]}
    atomic_write(folder / RECORDED_FILE, to_json(document, indent=1), operations=operations)


def extent_of(path: Path) -> tuple[int, float] | None:
    """Bytes and time of change of a recorded checkpoint; None when it is no longer there.

    Of a folder only the files directly in it count.
    """
    try:
        status = os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            return status.st_size, status.st_mtime
        with os.scandir(path) as entries:
            files = [entry.stat() for entry in entries if entry.is_file()]
    except OSError:
        return None
    return sum(file.st_size for file in files), max((file.st_mtime for file in files), default=status.st_mtime)


def _restored(path: str, value: Any) -> RecordedCheckpoint | None:
    if not isinstance(value, dict) or not os.path.isabs(path) or "\0" in path:
        return None
    return RecordedCheckpoint(
        path=path,
        step=whole_number(value.get("step")),
        epoch=whole_number(value.get("epoch")),
        metrics=numbers(numbers_restored(value.get("metrics"))),
        was_best=value.get("was_best") is True,
        recorded=number(value.get("recorded")) or 0.0,
    )
