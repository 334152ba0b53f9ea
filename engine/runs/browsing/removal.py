"""Deleting runs and checkpoints: only files that torchdeck itself makes, by name, without following links."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...errors import RunError
from ...files.durable import fsync_directory, replace_with_link
from ...files.regular_file import held_folder
from ...run_files import BEST_FILE, CHECKPOINTS, CONFIG_FILE, LAST_FILE
from ..on_disk.directory import is_run, own_run, refuse_trained
from ..saving.checkpoint_index import find_checkpoint_files, read_index, step_of, write_index
from ..saving.pins import pin_name, pinned_by

_CHECKPOINT_FILES = r"(pinned-)?step-\d{9,18}\.pt|(last|best)\.pt|(index|recorded)\.json|\..*\.tmp"
# Folders of a run's directory, "" being itself, and what the engine writes into them.
_MANIFEST = {
    r"": r"run(\.\d+)?\.toml|(run|state|evaluation|labels)\.json|run\.lock|control\.sock|engine(\.\w+)?\.log(\.\d+)?|"
    r"(metrics|events|system|probes)(\.\d+)?\.jsonl|\..*\.tmp",
    CHECKPOINTS: _CHECKPOINT_FILES,
    rf"{CHECKPOINTS}/before-resume\.\d+": _CHECKPOINT_FILES,
    r"cache": r".*",
    r"profiles": r"step-\d+\.(json|txt)",
    r"tensorboard": r"events\.out\.tfevents\..*",
}


@dataclass(frozen=True)
class RemovalPlan:
    """Preview of deleting a run.

    Attributes:
        files: how many files would go.
        bytes: the disk space that is freed; data with several names counts once.
        others: paths in the directory, relative to it, that torchdeck didn't make and that would stay.
    """

    files: int
    bytes: int
    others: list[str]


def plan_removal(run: Path) -> RemovalPlan:
    """What `delete_run` would delete and what it would leave. Raises RunError when it is not a run's directory."""
    _require_run(run)
    sizes: dict[tuple[int, int], int] = {}
    files, others = 0, []
    for entry in _entries(run):
        if entry.is_ours:
            files += 1
            sizes[entry.status.st_dev, entry.status.st_ino] = entry.status.st_size
        else:
            others.append(entry.path)
    return RemovalPlan(files, sum(sizes.values()), sorted(others))


def delete_run(run: Path) -> RemovalPlan:
    """Delete a run's files, and its folders where they are empty then.

    Interrupted at any point, what is left is still a run that can be deleted.

    Returns:
        What was deleted and what stayed.

    Raises:
        RunError: it is not a run's directory, a live process trains it, or the system refuses.
    """
    plan = plan_removal(run)
    try:
        refuse_trained(run)
        lock = own_run(run)
        try:
            # The config, which makes the directory a run's, goes last.
            ours = [entry for entry in _entries(run) if entry.is_ours]
            for entry in sorted(ours, key=lambda entry: entry.path == CONFIG_FILE):
                _unlink(run, entry.path)
            _remove_empty_folders(run)
        finally:
            lock.release()
    except OSError as error:
        raise RunError(f"{run}: can't be deleted: {error.strerror or error}") from error
    return plan


def delete_checkpoint(run: Path, name: str) -> int:
    """Delete one checkpoint of a run that is not training, with all its names.

    `last.pt` becomes a name of the newest that is left; `best.pt` goes with the file it named.

    Returns:
        The bytes that were freed.

    Raises:
        RunError: a live process trains the run, the checkpoint isn't there or is pinned, or the system refuses.
    """
    _require_run(run)
    folder = run / CHECKPOINTS
    try:
        refuse_trained(run)
        lock = own_run(run)
        try:
            with held_folder(folder) as held:
                return _delete_checkpoint(held, name)
        finally:
            lock.release()
    except OSError as error:
        raise RunError(f"{folder / name}: can't be deleted: {error.strerror or error}") from error


def _delete_checkpoint(folder: Path, name: str) -> int:
    if os.path.isabs(name):
        raise RunError(f"{name}: was saved by another program; delete it with that, or as any other file")
    found = {file.path.name: file for file in find_checkpoint_files(folder)}
    if name not in found:
        raise RunError(f"{name}: no such checkpoint")
    chosen = found.pop(name)
    if pin_name(name) in chosen.names or pinned_by(name) is not None:
        raise RunError(f"{name}: is pinned; unpin it first")
    steps = [file for file in found if step_of(file) is not None]
    if LAST_FILE in chosen.names and steps:
        replace_with_link(folder / max(steps, key=lambda file: step_of(file) or 0), folder / LAST_FILE)
        chosen.names.discard(LAST_FILE)
    for path in (*(folder / further for further in chosen.names & {LAST_FILE, BEST_FILE}), chosen.path):
        path.unlink(missing_ok=True)
    index = read_index(folder)
    index.pop(name, None)
    write_index(folder, index)
    fsync_directory(folder)
    return chosen.status.st_size


@dataclass(frozen=True)
class _Entry:
    """A file below a run's directory, `path` relative to it."""

    path: str
    status: os.stat_result
    is_ours: bool


def _entries(run: Path) -> Iterator[_Entry]:
    """Every file of the run's folders; links, devices and unknown folders are entries that aren't ours."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        names = next(names for pattern, names in _MANIFEST.items() if re.fullmatch(pattern, folder))
        with os.scandir(run / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}" if folder else entry.name
                status = entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(status.st_mode) and any(re.fullmatch(known, path) for known in _MANIFEST):
                    waiting.append(path)
                    continue
                is_file = stat.S_ISREG(status.st_mode) or stat.S_ISSOCK(status.st_mode)
                yield _Entry(path, status, is_file and re.fullmatch(names, entry.name) is not None)


def _unlink(run: Path, path: str) -> None:
    """Unlink a file by way of its opened folder, so that a folder replaced by a link meanwhile leads nowhere."""
    *folders, name = path.split("/")
    descriptor = os.open(run, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for folder in folders:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(folder, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        os.unlink(name, dir_fd=descriptor)
    finally:
        os.close(descriptor)


def _remove_empty_folders(run: Path) -> None:
    """Remove the manifest's folders, the innermost first, and the run's own, each as far as it is empty."""
    inner = [path for pattern in ("*/*", "*") for path in run.glob(pattern)]
    for folder in [*inner, run]:
        path = "" if folder == run else str(folder.relative_to(run))
        is_ours = folder.is_dir() and not folder.is_symlink() and any(re.fullmatch(known, path) for known in _MANIFEST)
        if is_ours and not any(folder.iterdir()):
            folder.rmdir()
    fsync_directory(run.parent)


def _require_run(run: Path) -> None:
    if run.is_symlink() or not is_run(run):
        raise RunError(f"{run}: is not the directory of a run")
