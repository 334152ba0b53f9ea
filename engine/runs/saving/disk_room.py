"""Whether the disk has room for the checkpoints to come."""

from __future__ import annotations

import errno
import os
from pathlib import Path

# Left free besides the checkpoint itself, for the run's own records.
_SPARE_BYTES = 16 << 20
# With room for fewer checkpoints than this, there is a warning.
_FEW = 4


class DiskRoom:
    """The room on the disk of one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def require(self, needed: int) -> None:
        """Raise OSError (ENOSPC) when a file of `needed` bytes would leave too little."""
        free = self._free_bytes()
        if free < needed + _SPARE_BYTES:
            raise OSError(
                errno.ENOSPC,
                f"the disk has {free / 1e6:,.0f} MB free, the checkpoint needs {needed / 1e6:,.0f} MB; "
                "free some space, or lower checkpoint.keep_last: the next save tries again",
            )

    def warning(self, checkpoint_bytes: int) -> str:
        """Warning for the user if only a few more checkpoints of that size fit; otherwise empty.

        Call it after surplus checkpoints are deleted: what is free then is what the next ones have.
        """
        try:
            free = self._free_bytes()
        except OSError:
            return ""
        room = max(0, free - _SPARE_BYTES) // max(1, checkpoint_bytes)
        if room >= _FEW:
            return ""
        more = {0: "no more checkpoint", 1: "1 more checkpoint"}.get(room, f"{room} more checkpoints")
        return (
            f"the disk of {self._folder.parent.parent} is filling up: {free / 1e6:,.0f} MB free, room for {more} of "
            f"{checkpoint_bytes / 1e6:,.0f} MB; training continues, but free some space"
        )

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize
