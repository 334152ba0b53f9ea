"""The run that the studio shows: read a piece at a time, whichever pane is on the screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torchdeck.engine.runs.on_disk.directory import LIVE_STATUSES
from torchdeck.engine.runs.on_disk.distant import distant_owner

from ..polling import BYTES_PER_LOOK
from ..words.train.run_text import run_forms, status_forms
from .own_run import Refusal

if TYPE_CHECKING:
    from torchdeck.engine.launching.followed_run import FollowedRun
    from torchdeck.engine.runs.run_view import RunView


class WatchedRun:
    """What is known of the watched run.

    Attributes:
        reader: reads its directory; None while it has none, or no run is watched.
        launched: the run that is being prepared here and has no directory yet.
        refusal: why the last run could not be started; None if it could.
        status: status from the reader, or "preparing"; empty if there is no run.
        changes: number of times that anything changed, so that a pane knows whether it is up to date.
    """

    def __init__(self) -> None:
        self.reader: RunView | None = None
        self.launched: FollowedRun | None = None
        self.refusal: Refusal | None = None
        self.status = ""
        self.changes = 0
        self._noticed_events = 0

    @property
    def path(self) -> Path | None:
        """Its directory."""
        return self.reader.path if self.reader is not None else None

    @property
    def is_live(self) -> bool:
        """Whether a process trains it, as far as that can be known."""
        return self.status in LIVE_STATUSES

    @property
    def reads_commands(self) -> bool:
        """Whether it may take commands: other programs mostly don't."""
        return self.is_live and self.reader is not None and self.reader.state().get("reads_commands") is not False

    @property
    def may_change(self) -> bool:
        """Whether something about it is expected to change soon."""
        is_reading = self.reader is not None and self.reader.has_more
        return is_reading or self.launched is not None or self.is_live

    def watch(self, path: Path) -> None:
        """Read another run, of torchdeck or of another trainer. Raises RunError if the path is none."""
        from torchdeck.engine.foreign.formats import open_run

        reader = open_run(path)
        self._forget()
        self.reader = reader

    def prepare(self, run: FollowedRun) -> None:
        """Wait for the directory of a run that is being prepared."""
        self._forget()
        self.launched, self.status = run, "preparing"

    def refuse(self, refusal: Refusal) -> None:
        """Note why a run could not be started."""
        self._forget()
        self.refusal = refusal

    def poll(self) -> str:
        """Read what is new.

        Returns:
            What a user who looks elsewhere has to know: the status that the run ended with, or "stalled"; else "".
        """
        reader = self.reader
        if reader is None:
            # What is being prepared changes its message.
            self.changes += self.launched is not None
            return ""
        if not (reader.poll(BYTES_PER_LOOK) or reader.status() != self.status):
            # How long nothing was heard of a process on another machine is said, and grows.
            self.changes += self.is_live and distant_owner(reader.path, reader.state()) is not None
            return ""
        was_live, self.status = self.is_live, reader.status()
        self.changes += 1
        events = reader.events()
        new_events, self._noticed_events = events[self._noticed_events :], len(events)
        if was_live and not self.is_live:
            return self.status
        return "stalled" if was_live and any(event["kind"] == "stalled" for event in new_events) else ""

    def forms(self) -> tuple[str, ...]:
        """The run in the first line, longest form first."""
        if self.reader is None:
            return status_forms("", self.status) if self.status else ()
        return run_forms(self.reader, self.status)

    def _forget(self) -> None:
        self.reader, self.launched, self.refusal, self.status = None, None, None, ""
        self._noticed_events = 0
        self.changes += 1
