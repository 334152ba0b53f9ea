"""Sees every few seconds that a live run still has its directory and holds its lock."""

from __future__ import annotations

import threading

from .owner import RunOwner

_EVERY_SECONDS = 2.0


class OwnershipWatch:
    """A thread that follows a run's directory when it is renamed, has a run write on elsewhere when it is deleted, and
    takes the run's lock again where a cleaner of the disk removed its file.
    """

    def __init__(self, run: RunOwner) -> None:
        self._run = run
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ownership", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_SECONDS):
            self._run.follow_directory()
            self._run.keep_ownership()
