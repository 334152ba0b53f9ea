"""Folder for state that belongs to the user rather than to a run."""

import os
from pathlib import Path

from ..user_path import user_path


def state_folder() -> Path:
    """The user's state folder: $XDG_STATE_HOME/torchdeck, else ~/.local/state/torchdeck. It may not be there yet."""
    return user_path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "torchdeck"
