"""A run that a process on another machine trains, on a disk that both see: what is known of it is what it wrote."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from ...files.json_values import number
from ...run_files import METRICS_FILE, RANKS_FOLDER, STATE_FILE, SYSTEM_FILE
from .state_file import StateFile

SILENT_SECONDS = 90.0
"""A process that was not heard of for so long is taken for dead. It writes every few seconds, and network file systems
show what others wrote after up to a minute."""

_LIVE = ("preparing", "running", "paused")


@dataclass(frozen=True)
class Distant:
    """The other machine.

    Attributes:
        host: its name.
        silent_seconds: how long nothing was heard of the process there.
    """

    host: str
    silent_seconds: float

    @property
    def is_heard(self) -> bool:
        """Whether its process wrote something a short while ago."""
        return self.silent_seconds < SILENT_SECONDS

    @property
    def words(self) -> str:
        """For the screen."""
        return f"on {self.host}, last heard of {self.silent_seconds:.0f} s ago"


def distant_owner(run: Path, state: StateFile) -> Distant | None:
    """The other machine that a run trains on by its own word; None where that is this one, or the run has ended."""
    host = state.get("host")
    if state.get("status") not in _LIVE or not isinstance(host, str) or host in ("", socket.gethostname()):
        return None
    return Distant(host, max(0.0, time.time() - _last_heard(run, state)))


def _last_heard(run: Path, state: StateFile) -> float:
    """When it wrote something last, in seconds since 1970: by its own clock, or by that of the disk."""
    moments = [number(state.get("updated")) or 0.0]
    for name in (STATE_FILE, SYSTEM_FILE, METRICS_FILE, f"{RANKS_FOLDER}/0.json"):
        try:
            moments.append(os.stat(run / name, follow_symlinks=False).st_mtime)
        except OSError:
            # Not every run has each of them.
            continue
    return max(moments)
