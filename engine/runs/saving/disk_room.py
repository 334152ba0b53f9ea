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

    def require(self, needed: int, *, is_last: bool = False) -> None:
        """Raise OSError (ENOSPC) when a file of `needed` bytes does not fit.

        Args:
            needed: bytes of the checkpoint.
            is_last: whether no later save can make up for this one: then it may take the room that is kept free for
                the records of the run, too.
        """
        free, spare = self._free_bytes(), 0 if is_last else _SPARE_BYTES
        if free < needed + spare:
            kept = f", and {spare / 1e6:,.0f} MB are kept free for the run's records" if spare > 0 else ""
            remedy = "" if is_last else ": the next save tries again"
            raise OSError(
                errno.ENOSPC,
                f"the disk has {free / 1e6:,.0f} MB free, the checkpoint needs {needed / 1e6:,.0f} MB{kept}; "
                f"free some, or lower checkpoint.keep_last{remedy}",
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
        runs = self._folder.resolve().parent.parent
        return (
            f"the disk of {runs} is filling up: {free / 1e6:,.0f} MB free, room for {more} of "
            f"{checkpoint_bytes / 1e6:,.0f} MB; training continues, but free some space"
        )

    def _free_bytes(self) -> int:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize
