"""How much a disk has free."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..user_path import user_path


def free_disk(folder: str | Path) -> int:
    """Free bytes for this user on the disk of a folder that may not exist yet; 0 if unknown."""
    path = user_path(folder)
    while not path.exists() and path != path.parent:
        path = path.parent
    try:
        return shutil.disk_usage(path).free
    except OSError:
        return 0
