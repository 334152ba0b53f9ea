"""Journal of a live run: metrics and events, line by line, and its cached state.

The training thread only appends to a queue; one writer thread does all writing. A full disk or a failing one never
reaches the training: records wait in memory and are written once there is room.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack, cast

from ...files.durable import SYSTEM, FileOperations, atomic_write
from ...files.json_values import to_json
from ...files.regular_file import APPEND_FLAGS, require_regular
from ...run_files import EVALUATION_FILE, EVENTS_FILE, METRICS_FILE, PROBES_FILE, STATE_FILE
from .metrics_record import MetricsRecord
from .state_file import StateFile

# Records are gathered this long before they are written: the writer wakes, and takes the GIL, this often at most.
GATHER_SECONDS = 0.1
# A power cut loses at most about this much.
SYNC_SECONDS = 0.5
STATE_SECONDS = 0.5
RETRY_SECONDS = 5.0
# Records kept in memory while the disk takes none: half a day of five a second.
MAX_WAITING = 200_000


class LineFile:
    """One append-only file of JSON lines. Used by one thread, except for `add`.

    Attributes:
        error: why the last write or sync failed; None when it didn't.
    """

    def __init__(self, path: Path, operations: FileOperations = SYSTEM, max_waiting: int = MAX_WAITING) -> None:
        """Open or make the file. Raises OSError."""
        self.path = path
        self.error: OSError | None = None
        self._operations = operations
        self._max_waiting = max_waiting
        self._waiting: deque[Mapping[str, Any]] = deque()
        self._unwritten = b""
        self._is_synced = True
        self._descriptor = operations.open(path, APPEND_FLAGS, 0o644)
        require_regular(self._descriptor, path)

    def write_on_at(self, path: Path) -> None:
        """Write on in another file, which begins with all that this one holds, deleted though it may be.

        Raises:
            OSError: the other can't be written; nothing has changed then.
        """
        descriptor = self._operations.open(path, APPEND_FLAGS, 0o644)
        try:
            # By way of the descriptor: a deleted file has no other name.
            with open(f"/proc/self/fd/{self._descriptor}", "rb") as earlier:
                while block := earlier.read(1 << 20):
                    view = memoryview(block)
                    while view:
                        view = view[self._operations.write(descriptor, view) :]
        except OSError:
            self._operations.close(descriptor)
            raise
        self._operations.close(self._descriptor)
        self._descriptor, self.path, self._is_synced = descriptor, path, False

    def add(self, record: Mapping[str, Any]) -> None:
        """Queue a record, from any thread; it is encoded later and must not be changed."""
        self._waiting.append(record)

    @property
    def waiting(self) -> int:
        """Records that are not in the file yet."""
        return len(self._waiting) + self._unwritten.count(b"\n")

    @property
    def is_synced(self) -> bool:
        """Whether everything written would survive a power cut."""
        return self._is_synced

    def write(self) -> None:
        """Write what waits, in one system call if the system takes it whole. An error is kept in `error`."""
        lines = [self._unwritten] if self._unwritten else []
        while self._waiting:
            lines.append(_line(self._waiting.popleft()))
        self._unwritten = b"".join(lines)
        try:
            while self._unwritten:
                written = self._operations.write(self._descriptor, memoryview(self._unwritten))
                self._is_synced = False
                # What a short write left over follows next time: a line is never begun twice.
                self._unwritten = self._unwritten[written:]
            self.error = None
        except OSError as error:
            self.error = error
            self._thin_out()

    def sync(self) -> None:
        """Make what was written survive a power cut. An error is kept in `error`."""
        try:
            self._operations.fdatasync(self._descriptor)
            self._is_synced = True
        except OSError as error:
            self.error = error

    def close(self) -> None:
        """Close the file. What could not be written is lost."""
        self._operations.close(self._descriptor)

    def _thin_out(self) -> None:
        """Bound the memory that a full disk costs: drop every second of the oldest training blocks, and say so."""
        lines = self._unwritten.split(b"\n")
        if len(lines) <= self._max_waiting:
            return
        # The first may be the rest of a line whose beginning is in the file already.
        kept = [lines[0]]
        dropped = 0
        for number, line in enumerate(lines[1:-1]):
            if number % 2 and line.startswith((b'{"kind":"train"', b'{"kind":"log"')):
                dropped += 1
            else:
                kept.append(line)
        gap = _line({"kind": "gap", "records": dropped})
        self._unwritten = b"\n".join(kept) + b"\n" + gap


class Journal:
    """Writer thread of a live run for metrics, events and state.

    No method but `flush` and `close` waits, none raises into the training.
    """

    def __init__(self, run: Path, state: StateFile, operations: FileOperations = SYSTEM) -> None:
        """Open the files of the run directory `run` and start writing.

        Args:
            run: the run's directory, owned by this process and held open by it: whatever is put in its place
                meanwhile, state and evaluation are written there.
            state: first content of `state.json`.
            operations: the system calls.

        Raises:
            OSError: a file can't be opened.
        """
        self._operations = operations
        self._metrics = LineFile(run / METRICS_FILE, operations)
        self._events = LineFile(run / EVENTS_FILE, operations)
        self._probes = LineFile(run / PROBES_FILE, operations)
        self._files = (self._metrics, self._events, self._probes)
        self._state_path = run / STATE_FILE
        self._state = state.copy()
        self._errors: dict[Path, OSError] = {}
        self._evaluation_path = run / EVALUATION_FILE
        self._evaluation: dict[str, Any] | None = None
        self._state_changed = True
        self._state_is_urgent = True
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._turn = threading.Lock()
        self._reported = ""
        self._thread = threading.Thread(target=self._write_until_closed, name="journal", daemon=True)
        # Immediately, so that readers don't take an earlier owner's state for this one's.
        self._write(sync=False)
        self._thread.start()

    def record(self, record: MetricsRecord) -> None:
        """Append a record to `metrics.jsonl`. Costs the caller an append; the record must not be changed after."""
        self._metrics.add(record)
        if not self._wake.is_set():
            self._wake.set()

    def probe(self, record: dict[str, Any]) -> None:
        """Append a record to `probes.jsonl`, which must not be changed after."""
        self._probes.add(record)
        self._wake.set()

    def event(self, kind: str, **fields: Any) -> None:
        """Append an event with the time of day to `events.jsonl`."""
        self._events.add({"kind": kind, "time": time.time(), **fields})
        self._wake.set()

    def write_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Replace `evaluation.json`; of several that wait only the newest is written."""
        self._evaluation = evaluation
        self._wake.set()

    def update_state(self, **fields: Unpack[StateFile]) -> None:
        """Change fields of `state.json`: a new status is written immediately, anything else within half a second."""
        is_new_status = "status" in fields and fields["status"] != self._state.get("status")
        # The fields first: the writer takes the flags down before it reads them.
        self._state.update(fields)
        self._state_is_urgent = self._state_is_urgent or is_new_status
        self._state_changed = True
        if not self._wake.is_set():
            self._wake.set()

    def state(self) -> StateFile:
        """A copy of the state as it will be written."""
        return self._state.copy()

    def flush(self) -> None:
        """Write and sync everything queued so far, in the calling thread. Errors stay where `error` shows them."""
        with self._turn:
            self._write(sync=True)

    def write_on_at(self, run: Path) -> None:
        """The run's directory was deleted: write on in another, which gets the records so far too.

        Raises:
            OSError: its files can't be written.
        """
        with self._turn:
            for file in self._files:
                file.write_on_at(run / file.path.name)
            self._state_path, self._evaluation_path = run / STATE_FILE, run / EVALUATION_FILE
            self._errors.clear()
            self._state_changed = self._state_is_urgent = True
            self._wake.set()

    @property
    def error(self) -> str:
        """What can't be written at the moment and why; empty when all is well."""
        for file in self._files:
            if file.error is not None:
                reason = file.error.strerror or str(file.error)
                return f"{file.path.name}: {reason}; {file.waiting} records are waiting in memory"
        # A copy: `flush` may be writing in another thread.
        for path, failure in list(self._errors.items()):
            return f"{path.name}: {failure.strerror or failure}"
        return ""

    def close(self) -> None:
        """Write everything, end the thread and close the files."""
        self._closing.set()
        self._wake.set()
        self._thread.join()
        self.flush()
        for file in self._files:
            file.close()

    def _write_until_closed(self) -> None:
        next_sync = next_state = 0.0
        while not self._closing.is_set():
            self._wake.wait(SYNC_SECONDS if self._is_behind() else None)
            self._closing.wait(RETRY_SECONDS if self.error else GATHER_SECONDS)
            self._wake.clear()
            now = time.monotonic()
            with self._turn:
                self._write(sync=now >= next_sync, state=self._state_is_urgent or now >= next_state)
            if now >= next_sync:
                next_sync = now + SYNC_SECONDS
            if not self._state_changed:
                next_state = now + STATE_SECONDS

    def _is_behind(self) -> bool:
        return (
            self._state_changed
            or self._evaluation is not None
            or any(file.waiting or not file.is_synced for file in self._files)
        )

    def _write(self, *, sync: bool, state: bool = True) -> None:
        for file in self._files:
            file.write()
            if sync and not file.is_synced:
                file.sync()
        if self._evaluation is not None:
            self._write_evaluation()
        if state and self._state_changed:
            self._write_state()
        self._report_error()

    def _write_state(self) -> None:
        is_urgent, self._state_is_urgent = self._state_is_urgent, False
        self._state_changed = False
        state: StateFile = {**self._state, "updated": time.time()}
        if self.error:
            state["write_error"] = self.error
        try:
            # A new status survives a power cut; progress in between is not worth two fsyncs twice per second.
            atomic_write(self._state_path, to_json(state), durable=is_urgent, operations=self._operations)
            self._errors.pop(self._state_path, None)
        except (TypeError, ValueError, RecursionError) as error:
            for key in [key for key, value in state.items() if not _is_json(value)]:
                cast("dict[str, Any]", self._state).pop(key, None)
            self._state_changed = self._state_is_urgent = True
            self._events.add({"kind": "state_not_written", "time": time.time(), "error": str(error)})
        except OSError as error:
            # It may have become urgent meanwhile.
            self._state_changed, self._state_is_urgent = True, is_urgent or self._state_is_urgent
            self._errors[self._state_path] = error

    def _write_evaluation(self) -> None:
        evaluation, self._evaluation = self._evaluation, None
        try:
            atomic_write(self._evaluation_path, to_json(evaluation), durable=False, operations=self._operations)
            self._errors.pop(self._evaluation_path, None)
        except (TypeError, ValueError, RecursionError) as error:
            self._events.add({"kind": "evaluation_not_written", "time": time.time(), "error": str(error)})
        except OSError as error:
            self._errors[self._evaluation_path] = error
            # A newer one may have come meanwhile.
            self._evaluation = self._evaluation or evaluation

    def _report_error(self) -> None:
        """Report once in the engine's log that the run's own files can't be written."""
        error = self.error
        if error and error.split(";")[0] != self._reported:
            with contextlib.suppress(OSError, ValueError):
                print(f"torchdeck: the run's files can't be written, training continues: {error}", file=sys.stderr)
        self._reported = error.split(";")[0]


def _line(record: Mapping[str, Any]) -> bytes:
    try:
        return to_json(record) + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        return to_json({"kind": "not_written", "record": str(record.get("kind")), "error": str(error)}) + b"\n"


def _is_json(value: Any) -> bool:
    try:
        to_json(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True
