"""Resolve a reference on the command line: a run, one of its checkpoints, or any checkpoint file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...errors import UnknownRunError
from ...run_files import BEST_FILE, CHECKPOINTS, LAST_FILE
from ...user_path import user_path
from ..on_disk.directory import find_run, is_run
from ..saving.checkpoint_index import list_checkpoints


@dataclass(frozen=True)
class CheckpointReference:
    """A checkpoint that was named.

    Attributes:
        path: the file.
        run: the directory of the run that it belongs to; None for a file of another origin.
    """

    path: Path
    run: Path | None


def find_checkpoint(root: Path, reference: str, checkpoint: str | None = None) -> CheckpointReference:
    """The checkpoint that a command names.

    Args:
        root: the folder that holds the runs.
        reference: a file, or a run, which stands for its best checkpoint, else its newest.
        checkpoint: which of the run's instead: a file, or its name in the run with or without ".pt".

    Raises:
        UnknownRunError: there is no such file or run, or the run has no such checkpoint.
    """
    as_file = user_path(reference)
    if checkpoint is None and as_file.is_file():
        return CheckpointReference(as_file, run_of(as_file))
    run = find_run(root, reference)
    if checkpoint is not None:
        return CheckpointReference(checkpoint_of(run, checkpoint), run)
    there = list_checkpoints(run)
    if not there:
        raise UnknownRunError(f"{run.name}: has no checkpoint yet")
    chosen = next((known for known in there if known.is_best), there[0])
    return CheckpointReference(run / CHECKPOINTS / chosen.file, run)


def checkpoint_of(run: Path, reference: str) -> Path:
    """A checkpoint by path, or by its file name in the run, with or without `.pt`. Raises UnknownRunError."""
    names = [reference, f"{reference}.pt"]
    for candidate in [user_path(reference), *(run / CHECKPOINTS / name for name in names)]:
        if candidate.is_file():
            return candidate
    there = [known.file for known in list_checkpoints(run)]
    further = [name for name in (LAST_FILE, BEST_FILE) if (run / CHECKPOINTS / name).is_file()]
    listed = ", ".join(sorted(there) + further) or "none"
    raise UnknownRunError(f"{reference}: no such checkpoint; {run.name} has: {listed}")


def last_checkpoint(run: Path) -> Path | None:
    """The newest checkpoint of a run by the name that always means it; None while there is none."""
    path = run / CHECKPOINTS / LAST_FILE
    return path if path.exists() else None


def step_file_of(path: Path) -> str:
    """The name of the checkpoint that a file of a run is: `best.pt` is one more name of a `step-….pt`."""
    for known in list_checkpoints(path.parent.parent):
        if (path.parent / known.file).samefile(path):
            return known.file
    return path.name


def run_of(checkpoint: Path) -> Path | None:
    """The run whose checkpoint a file is; None when it lies elsewhere."""
    folder = checkpoint.absolute().parent
    return folder.parent if folder.name == CHECKPOINTS and is_run(folder.parent) else None
