"""The thread that writes a recorded run: the loop that is recorded only appends to its queue."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from ..run_files import CHECKPOINTS
from ..runs.control import Control, ControlServer
from ..runs.owner import RunOwner
from ..runs.ownership_watch import OwnershipWatch
from ..runs.saving.recorded_checkpoints import RecordedCheckpoint, read_recorded, write_recorded
from ..runs.system_sampler import SystemSampler
from ..series_names import series_name
from .composition import Composition, Entry
from .figures import NotANumber, numbers_in

_GATHER_SECONDS = 0.1
_MOST_WAITING = 200_000


class Saved(NamedTuple):
    """A checkpoint of the program's own.

    Attributes:
        path: its file or folder.
        metrics: validation metrics by name; None for those of the newest evaluation.
        step: optimizer steps done; None for those of the newest entry.
        epoch: epochs done; None for the newest.
    """

    path: str
    metrics: Mapping[str, Any] | None
    step: Any
    epoch: Any


class Scribe:
    """Turns entries into records several times a second, and looks after the run's directory.

    Attributes:
        entries: what was logged and saved, in order; any thread appends.
        wake: set after something was appended.
        control: commands to the run.
    """

    def __init__(self, owner: RunOwner, composition: Composition) -> None:
        self.entries: deque[Entry | Saved] = deque()
        self.wake = threading.Event()
        self.control = Control()
        self._owner = owner
        self._composition = composition
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._server: ControlServer | None = None
        self._watch = OwnershipWatch(owner)
        self._sampler = SystemSampler(owner.held, lambda: composition.step)
        self._thread = threading.Thread(target=self._write_until_ended, name="scribe", daemon=True)
        owner.on_moved = self._move

    def start(self) -> None:
        """Begin to write."""
        self._watch.start()
        self._sampler.start()
        self._thread.start()

    def serve_commands(self) -> None:
        """Offer the socket by which commands come. A second call does nothing."""
        if self._server is None:
            self._server = ControlServer(self._owner.path, self._owner.held, self.control)
            if problem := self._server.start():
                self._owner.event("note", text=f"no control socket yet: {problem}")
            self._owner.update_state(reads_commands=True)

    def flush(self) -> None:
        """Wait until everything logged so far is on disk."""
        self._write()
        self._owner.flush()

    def stop(self, status: str, error: str | None) -> None:
        """Write everything, and how the run ended."""
        self._ended.set()
        self.wake.set()
        self._thread.join()
        self._write()
        for part in (self._server, self._sampler, self._watch):
            if part is not None:
                part.stop()
        self._owner.close(status, error)

    def _write_until_ended(self) -> None:
        while not self._ended.is_set():
            self.wake.wait()
            self._ended.wait(_GATHER_SECONDS)
            self.wake.clear()
            self._write()

    def _write(self) -> None:
        with self._turn:
            composition, owner = self._composition, self._owner
            for is_saved, queued in groupby(self._drained(), lambda entry: isinstance(entry, Saved)):
                if is_saved:
                    for saved in queued:
                        self._list_checkpoint(*saved)
                else:
                    for record in composition.records(queued):  # type: ignore[arg-type]
                        owner.record(record)
            for problem in composition.problems:
                owner.event("not_logged", text=problem)
            composition.problems.clear()
            before = owner.state()
            if before.get("step") != composition.step or before.get("epoch") != composition.epoch:
                owner.update_state(step=composition.step, epoch=composition.epoch)
                if math.isfinite(composition.rate):
                    owner.update_state(learning_rate=composition.rate)

    def _list_checkpoint(self, path: str, metrics: Mapping[str, Any] | None, step: Any, epoch: Any) -> None:
        composition, owner = self._composition, self._owner
        try:
            added = RecordedCheckpoint(
                path=os.path.abspath(path),
                step=composition.step if step is None else int(step),
                epoch=composition.epoch if epoch is None else int(epoch),
                metrics=dict(composition.measured) if metrics is None else _named(metrics),
                was_best=composition.is_best,
                recorded=time.time(),
            )
            folder = owner.held / CHECKPOINTS
            others = [known for known in read_recorded(folder) if known.path != added.path]
            write_recorded(folder, [*others, added])
        except (OSError, TypeError, ValueError, OverflowError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            owner.event("not_logged", text=f"checkpoint {path}: not listed: {reason}"[:400])
            return
        owner.event("saved", file=Path(path).name, step=added.step, reason="recorded")

    def _drained(self) -> Iterator[Entry | Saved]:
        """What is queued now: a loop that logs without a pause never lets the queue become empty."""
        surplus = len(self.entries) - _MOST_WAITING
        if surplus > 0:
            self._owner.event("not_logged", text=f"{surplus:,} entries were logged faster than they can be written")
            for _ in range(surplus):
                self.entries.popleft()
        for _ in range(len(self.entries)):
            yield self.entries.popleft()

    def _move(self) -> None:
        if self._server is not None:
            self._server.move(self._owner.path, self._owner.held)


def _named(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {
        series_name(name).partition("/")[2] or name: value
        for name, value in numbers_in(metrics)
        if not isinstance(value, NotANumber)
    }
