"""That what a run's owner writes into is the run's own: no link leads out of the directory, nothing is waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ...errors import RunError
from ...run_files import (
    CHECKPOINTS,
    CONFIG_FILE,
    EVALUATION_FILE,
    EVENTS_FILE,
    INFO_FILE,
    LOG_FILE,
    METRICS_FILE,
    PROBES_FILE,
    STATE_FILE,
    SYSTEM_FILE,
)
from .lock import LOCK_FILE

# What a process that trains a run writes to.
_OWN_FILES = (
    CONFIG_FILE,
    INFO_FILE,
    STATE_FILE,
    EVALUATION_FILE,
    METRICS_FILE,
    EVENTS_FILE,
    PROBES_FILE,
    SYSTEM_FILE,
    LOG_FILE,
    f"{LOG_FILE}.1",
    LOCK_FILE,
)
_OWN_FOLDERS = (CHECKPOINTS, "cache", "profiles", "tensorboard", "commands")


def require_own_files(run: Path) -> None:
    """Check that a run's files and folders are files and folders, before a process writes into them.

    Raises:
        RunError: one of them is a symbolic link, a FIFO or a device: what is written would end elsewhere, or nowhere.
    """
    kinds = [(name, stat.S_ISREG, "a regular file") for name in _OWN_FILES]
    kinds += [(name, stat.S_ISDIR, "a folder of its own") for name in _OWN_FOLDERS]
    for name, is_kind, words in kinds:
        try:
            mode = os.stat(run / name, follow_symlinks=False).st_mode
        except FileNotFoundError:
            continue
        if not is_kind(mode):
            found = "a symbolic link" if stat.S_ISLNK(mode) else "a FIFO" if stat.S_ISFIFO(mode) else "something else"
            raise RunError(f"{run / name}: is {found} and not {words}; move it away, and resume then")
