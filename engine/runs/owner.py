"""Owner of a live run's directory: its lock, its journal, and where both are when the directory moves or vanishes."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Unpack

from ..errors import RunError
from ..files.durable import SYSTEM, FileOperations
from ..machine.process_identity import boot_id, start_ticks
from ..metric_names import AUTO
from ..run_files import CHECKPOINTS, CONFIG_FILE, INFO_FILE
from .best_result import best_of
from .on_disk.journal import Journal
from .on_disk.lock import LOCK_FILE, RunLock, acquire
from .on_disk.metrics_record import MetricsRecord
from .on_disk.run_folder import Place, RunFolder, make_rescue_folder, rescue_root
from .on_disk.state_file import StateFile
from .reader import RunReader


class RunOwner:
    """Owns a run's directory while the run lives, and writes its records, events and state.

    Its methods return immediately and never raise, except `flush` and `close`, which wait.

    Attributes:
        path: the run's directory. It changes when that is renamed, or deleted and replaced.
        on_moved: called when `path` has changed, in the thread that noticed it.
        relocation: why the run is written on elsewhere, and where; empty while it is in its own directory.
    """

    def __init__(self, path: Path, lock: RunLock, state: StateFile, operations: FileOperations = SYSTEM) -> None:
        """Write a run whose lock is held.

        Args:
            path: the run's directory.
            lock: its lock; taken under the temporary name of a new run, or under its own.
            state: first content of `state.json`.
            operations: the system calls.

        Raises:
            OSError: a file can't be opened.
        """
        self.path = path
        self.on_moved: Callable[[], object] = lambda: None
        self.relocation = ""
        self._folder = RunFolder(path, lock.held)
        # What makes a directory a run, for one that has to be made anew.
        self._documents = _documents_of(lock.held)
        self._place_turn = threading.Lock()
        self._lock = lock
        # Of the directory that the run left; it is released when nobody writes by way of its descriptor any more.
        self._lost: RunLock | None = None
        lock.path = path / LOCK_FILE
        # Of evaluations that don't say by which metric they were compared.
        self._best_metric = AUTO
        self._is_closed = False
        self._is_disowned = False
        self._is_out_of_reach = False
        self._operations = operations
        self._journal = Journal(self.held, state, operations)
        self._has_open_files = True

    @property
    def held(self) -> Path:
        """The run's directory by way of a descriptor, for writing: nothing gets into what is put in its place."""
        return self._lock.held

    def keep_ownership(self) -> None:
        """See that the run's lock is in place, and take it again where its file was removed or replaced."""
        try:
            if self._lock.keep():
                self.event("note", text="run.lock was removed or replaced while the run trains; it is locked again")
                self._is_disowned = False
        except (RunError, OSError) as error:
            if not self._is_disowned:
                self._is_disowned = True
                self.event("lock_lost", text=f"the run's lock is lost and can't be taken again: {error}")

    def follow_directory(self) -> None:
        """See where the run's directory is: renamed, it is followed; deleted, everything is written on elsewhere."""
        with self._place_turn:
            if self.relocation or not self._has_open_files or self._is_closed:
                return
            before, place = self.path, self._folder.look()
            self._say_reach(is_out=place is Place.OUT_OF_REACH)
            if place in (Place.THERE, Place.OUT_OF_REACH):
                return
            if place is Place.RENAMED:
                self._move(self._folder.path)
                self.event(
                    "directory_moved", text=f"{before} was renamed to {self.path}: the run is written there now"
                )
            else:
                self.relocation = f"{before} was deleted while the run trains"
                self._write_on_elsewhere("directory_deleted", [before.parent, rescue_root()])
        self._say_moved()

    def record(self, record: MetricsRecord) -> None:
        """Append to `metrics.jsonl`; the record must not be changed afterwards. Costs an append to a queue."""
        self._journal.record(record)
        if record["kind"] in ("epoch", "evaluation") and (validation := record.get("validation")):
            fields: StateFile = {"metrics": validation}
            if record.get("is_best"):
                fields["best"] = best_of(record, self._best_metric)
            self._journal.update_state(**fields)

    def event(self, kind: str, **fields: Any) -> None:
        """Append to `events.jsonl`, with the time of day."""
        self._journal.event(kind, **fields)

    def update_state(self, **fields: Unpack[StateFile]) -> None:
        """Change fields of `state.json`. A new status is written immediately, anything else within half a second."""
        self._journal.update_state(**fields)

    def state(self) -> StateFile:
        """A copy of the state as it will be written."""
        return self._journal.state()

    def flush(self) -> None:
        """Wait until every record is on disk."""
        self._journal.flush()

    def close(self, status: str, error: str | None = None) -> None:
        """Finish all writing, write how the run ended and give its directory up. A second call does nothing.

        Args:
            status: finished, stopped or failed.
            error: why it failed.
        """
        with self._place_turn:
            if self._is_closed:
                return
            self._is_closed = True
        try:
            if not self._has_open_files:
                return
            self._finish_saves()
            self._journal.event("ended", status=status, error=error)
            self._journal.update_state(status=status, phase="", message="", error=error)
            self._journal.close()
            # A directory that was removed has no reader to be spared anything.
            with contextlib.suppress(RunError):
                # A long run's curves are parsed once here rather than by the first who opens it.
                RunReader(self.held).poll()
        finally:
            self._folder.close()
            self._lock.release()

    def _finish_saves(self) -> None:
        """What is still being saved besides the journal. A recorded run saves nothing itself."""

    def _say_moved(self) -> None:
        self.on_moved()
        lost, self._lost = self._lost, None
        if lost is not None:
            lost.release()

    def _say_reach(self, *, is_out: bool) -> None:
        if is_out == self._is_out_of_reach:
            return
        self._is_out_of_reach = is_out
        text = (
            f"{self.path} is out of reach, as if its disk was unmounted: training continues, and saves that fail are "
            "tried again"
            if is_out
            else f"{self.path} can be reached again"
        )
        # A reader can't see the event before the directory is back.
        print(f"torchdeck: {text}", file=sys.stderr)
        self.event("note", text=text)

    def _move(self, path: Path) -> None:
        self.path = path
        self._lock.move(path)

    def _write_on_elsewhere(self, kind: str, roots: Sequence[Path]) -> bool:
        """Write the run on in a directory made for it. Returns whether there is one."""
        try:
            path = make_rescue_folder(self.path, self._documents, CHECKPOINTS, roots)
            lock = acquire(path)
            self._journal.write_on_at(lock.held)
        except (OSError, RunError) as error:
            self.relocation += f", and nothing can be saved elsewhere: {error}"
            print(f"torchdeck: {self.relocation}", file=sys.stderr)
            return False
        self.path, self._lock, self._lost = path, lock, self._lock
        self.relocation += f": {self._way_back(path)}"
        self.event(kind, text=self.relocation)
        return True

    def _way_back(self, path: Path) -> str:
        return f"it is recorded in {path}"


def first_state(config_toml: str, epochs: int) -> StateFile:
    """The state of a run that begins in this process.

    Args:
        config_toml: content of its `run.toml`.
        epochs: number of epochs that it will train; 0 if not known.
    """
    return {
        "status": "preparing",
        "phase": "",
        "message": "",
        "epoch": 0,
        "epochs": epochs,
        "step": 0,
        "total_steps": 0,
        "step_in_epoch": 0,
        "steps_per_epoch": 0,
        "config_crc": crc_of(config_toml),
        "pid": os.getpid(),
        "pid_started": start_ticks(os.getpid()),
        "host": socket.gethostname(),
        "boot_id": boot_id(),
        "started": time.time(),
        "error": None,
        "resumed_from": None,
    }


def crc_of(config_toml: str) -> int:
    """The CRC-32 that `state.json` notes of `run.toml`."""
    return zlib.crc32(config_toml.encode())


def _documents_of(run: Path) -> dict[str, bytes]:
    documents: dict[str, bytes] = {}
    for name in (CONFIG_FILE, INFO_FILE):
        # A run whose information was removed is a run all the same.
        with contextlib.suppress(FileNotFoundError):
            documents[name] = (run / name).read_bytes()
    return documents
