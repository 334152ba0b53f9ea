"""Pinned checkpoints, which are always kept: a pin is another name of the file, `pinned-step-000000123.pt`.

A hard link costs no space, is made and removed in one step by any process that shows the run while another one trains
it, and holds the data even if the checkpoint's own name is deleted at that very moment.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...errors import CheckpointError
from ...files.durable import fsync_directory, replace_with_link
from ...files.regular_file import held_folder

_PREFIX = "pinned-"
_PINNABLE = re.compile(r"step-\d{9,18}\.pt")


def pin(folder: Path, name: str) -> None:
    """Keep a checkpoint whatever the run saves later. Pinning it again changes nothing.

    Args:
        folder: the run's `checkpoints` folder.
        name: the checkpoint's file, such as "step-000000123.pt".

    Raises:
        CheckpointError: there is no such checkpoint, or the folder can't be written to.
    """
    if os.path.isabs(name):
        raise CheckpointError(f"{name}: was saved by another program, which may delete it; copy it to keep it")
    if not _PINNABLE.fullmatch(name):
        raise CheckpointError(f"{name}: can't be pinned; only files named like step-000000123.pt can")
    try:
        with held_folder(folder) as held:
            replace_with_link(held / name, held / pin_name(name))
            fsync_directory(held)
    except OSError as error:
        raise CheckpointError(f"{folder / name}: can't be pinned: {error.strerror or error}") from error


def unpin(folder: Path, name: str) -> None:
    """Leave a checkpoint to the run's own rules again. One that isn't pinned stays as it is.

    Where the pin is the last name of the data, the checkpoint gets its own name back and no data is deleted.

    Raises:
        CheckpointError: the folder can't be written to.
    """
    try:
        with held_folder(folder) as held:
            pinned, own = held / pin_name(name), held / name
            if not os.path.lexists(own) and pinned.is_file():
                os.rename(pinned, own)
            else:
                pinned.unlink(missing_ok=True)
            fsync_directory(held)
    except OSError as error:
        raise CheckpointError(f"{folder / pin_name(name)}: can't be removed: {error.strerror or error}") from error


def pinned_checkpoints(folder: Path) -> set[str]:
    """The names of the pinned checkpoints in a run's `checkpoints` folder; empty when it can't be read."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError:
        return set()
    return {pinned for name in names if (pinned := pinned_by(name)) is not None}


def pin_name(name: str) -> str:
    """The name of the pin of a checkpoint's file."""
    return f"{_PREFIX}{name}"


def pinned_by(name: str) -> str | None:
    """The checkpoint that a file of this name pins; None when it is not a pin."""
    pinned = name.removeprefix(_PREFIX)
    return pinned if pinned != name and _PINNABLE.fullmatch(pinned) else None
