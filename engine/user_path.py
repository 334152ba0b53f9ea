"""Paths as the user writes them."""

from __future__ import annotations

import os
from pathlib import Path


def user_path(text: str | Path) -> Path:
    """A path with `~` as the home folder.

    Where there is no such user, or this one has no home, `~` stays as it is, so that whatever opens the path can say
    that there is no such file; `Path.expanduser` raises RuntimeError.
    """
    return Path(os.path.expanduser(text))
