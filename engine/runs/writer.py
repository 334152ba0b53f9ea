"""Writer of a run's directory: one object through which a live run writes everything."""

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
from typing import Any, Self, Unpack

from ..config import RunConfig
from ..config.file import dump_config
from ..errors import RunError
from ..files.durable import SYSTEM, FileOperations
from ..machine.process_identity import boot_id, start_ticks
from ..run_files import CHECKPOINTS, CONFIG_FILE, INFO_FILE
from .best_result import best_of
from .on_disk.directory import create_run_directory, is_run, own_run, read_state
from .on_disk.journal import Journal
from .on_disk.lock import LOCK_FILE, RunLock, acquire
from .on_disk.metrics_record import MetricsRecord
from .on_disk.own_files import require_own_files
from .on_disk.run_folder import Place, RunFolder, make_rescue_folder, rescue_root
from .on_disk.state_file import StateFile
from .provenance import describe_origin
from .reader import RunReader
from .rewind import newest_results, replace_config, take_back
from .saving.checkpoint_format import Checkpoint
from .saving.checkpoint_index import step_file
from .saving.checkpoint_saver import CheckpointSaver, SaveRequest
from .saving.retention import Retention


class RunWriter:
    """Writer of a run's directory, which it owns while the run trains.

    Its methods return immediately and never raise into the training, except `flush` and `close`, which wait. They are
    called by one thread.

    Attributes:
        path: the run's directory. It changes when that is renamed, or deleted and replaced.
        on_moved: called when `path` has changed, in the thread that noticed it.
        relocation: why the run is written on elsewhere, and where; empty while it is in its own directory.
    """

    def __init__(
        self,
        path: Path,
        config: RunConfig,
        lock: RunLock,
        state: StateFile,
        operations: FileOperations = SYSTEM,
        resumed_from: str = "",
    ) -> None:
        """Use `create` or `reopen`."""
        self.path = path
        self.on_moved: Callable[[], object] = lambda: None
        self.relocation = ""
        self._folder = RunFolder(path, lock.held)
        # What makes a directory a run, for one that has to be made anew.
        self._documents = _documents_of(lock.held)
        self._place_turn = threading.Lock()
        self._best_metric = config.checkpoint.best_metric
        self._lock = lock
        # Of the directory that the run left; it is released when nobody writes by way of its descriptor any more.
        self._lost: RunLock | None = None
        # It was taken under the temporary name of a new run.
        lock.path = path / LOCK_FILE
        self._is_closed = False
        self._is_disowned = False
        self._is_out_of_reach = False
        self._operations = operations
        self._open_files(config, state, resumed_from)

    def _open_files(self, config: RunConfig, state: StateFile, resumed_from: str) -> None:
        self._journal = Journal(self.held, state, self._operations)
        self._saver = CheckpointSaver(
            self.held / CHECKPOINTS, _retention(config, resumed_from), self._journal, self._operations
        )
        self._has_open_files = True

    @property
    def held(self) -> Path:
        """The run's directory by way of a descriptor, for writing: nothing gets into what is put in its place."""
        return self._lock.held

    @classmethod
    def create(cls, root: Path, config: RunConfig, info: dict[str, Any]) -> Self:
        """Make a new run's directory and own it.

        Args:
            root: the folder that holds the runs; made when it isn't there.
            config: the whole config.
            info: additional content of `run.json`, plain values.

        Raises:
            RunError: the directory can't be made.
        """
        locks: list[RunLock] = []
        config_toml = dump_config(config)
        # Locked before it is visible: readers never see a new run without its owner.
        path = create_run_directory(
            root,
            config_toml,
            {**describe_origin(), **info},
            config.name,
            before_it_shows=lambda folder: locks.append(acquire(folder)),
        )
        return cls._opened(path, config, locks[0], _first_state(config, config_toml))

    @classmethod
    def reopen(
        cls,
        path: Path,
        config: RunConfig,
        at_step: int,
        at_epoch: int | None = None,
        evaluated_step: int | None = None,
    ) -> Self:
        """Own an earlier run and take its directory back to step `at_step`; see `take_back` for what is put aside.

        Args:
            path: the run's directory.
            config: config to continue with.
            at_step: optimizer steps done.
            at_epoch: epochs completed; None for every epoch that ended by that step.
            evaluated_step: the last step whose evaluation stays; None for every one up to `at_step`.

        Raises:
            RunError: a live process owns it, it is not a run, or its files can't be written.
        """
        if not is_run(path):
            raise RunError(f"{path}: is not the directory of a run")
        require_own_files(path)
        config_toml = dump_config(config)
        lock = own_run(path)
        try:
            earlier = read_state(path)
            take_back(lock.held, at_step, config_toml, at_epoch=at_epoch, evaluated_step=evaluated_step)
            metrics, best = newest_results(lock.held)
        except OSError as error:
            lock.release()
            raise RunError(f"{path.name}: can't be resumed: {error.strerror or error}") from error
        except BaseException:
            lock.release()
            raise
        state: StateFile = {
            **_first_state(config, config_toml),
            "started": earlier.get("started", time.time()),
            "step": at_step,
            "metrics": metrics,
            "best": best_of(best, config.checkpoint.best_metric) if best is not None else None,
        }
        return cls._opened(path, config, lock, state, resumed_from=step_file(at_step))

    @classmethod
    def _opened(cls, path: Path, config: RunConfig, lock: RunLock, state: StateFile, resumed_from: str = "") -> Self:
        try:
            return cls(path, config, lock, state, resumed_from=resumed_from)
        except OSError as error:
            lock.release()
            raise RunError(f"{path.name}: its files can't be opened: {error.strerror or error}") from error

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

    def rescue(self) -> None:
        """Where the last save failed: write the run on below the user's state folder, and save it there. Waits."""
        with self._place_turn:
            if self.relocation or not self.save_error or not self._has_open_files or self._is_closed:
                return
            self.relocation = f"{self.path} can't be written at the end of the run ({self.save_error})"
            self._write_on_elsewhere("rescued", [rescue_root()])
        self._say_moved()
        self._saver.retry_last()

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

    def _write_on_elsewhere(self, kind: str, roots: Sequence[Path]) -> None:
        try:
            path = make_rescue_folder(self.path, self._documents, CHECKPOINTS, roots)
            lock = acquire(path)
            self._journal.write_on_at(lock.held)
        except (OSError, RunError) as error:
            self.relocation += f", and nothing can be saved elsewhere: {error}"
            print(f"torchdeck: {self.relocation}", file=sys.stderr)
            return
        self._saver.move(lock.held / CHECKPOINTS)
        self.path, self._lock, self._lost = path, lock, self._lock
        self.relocation += f": it is saved and ended in {path}; to resume it: torchdeck resume {path}"
        self.event(kind, text=self.relocation)

    def go_back(self, config: RunConfig, at_step: int, at_epoch: int, evaluated_step: int) -> None:
        """Take the directory back to step `at_step`, as `reopen` does, and write on from there. Waits.

        Raises:
            RunError: its files can't be written.
        """
        config_toml = dump_config(config)
        with self._place_turn:
            self._saver.close()
            state = self._journal.state()
            self._journal.close()
            self._has_open_files = False
        try:
            take_back(self.held, at_step, config_toml, at_epoch=at_epoch, evaluated_step=evaluated_step)
            metrics, best = newest_results(self.held)
            state |= {
                "step": at_step,
                "config_crc": _crc(config_toml),
                "metrics": metrics,
                "best": best_of(best, self._best_metric) if best is not None else None,
            }
            self._open_files(config, state, resumed_from=step_file(at_step))
        except OSError as error:
            raise RunError(f"{self.path.name}: can't be rewound: {error.strerror or error}") from error

    def record(self, record: MetricsRecord) -> None:
        """Append to `metrics.jsonl`; the record must not be changed afterwards. Costs an append to a queue."""
        self._journal.record(record)
        if record["kind"] != "train" and record.get("validation"):
            fields: StateFile = {"metrics": record["validation"]}
            if record.get("is_best"):
                fields["best"] = best_of(record, self._best_metric)
            self._journal.update_state(**fields)

    def write_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Replace `evaluation.json`, the newest evaluation in full; the value must not be changed afterwards."""
        self._journal.write_evaluation(evaluation)

    def probe(self, record: dict[str, Any]) -> None:
        """Append to `probes.jsonl`, what was observed inside the model; the record must not be changed afterwards."""
        self._journal.probe(record)

    def event(self, kind: str, **fields: Any) -> None:
        """Append to `events.jsonl`, with the time of day."""
        self._journal.event(kind, **fields)

    def update_state(self, **fields: Unpack[StateFile]) -> None:
        """Change fields of `state.json`. A new status is written immediately, anything else within half a second."""
        self._journal.update_state(**fields)

    def replace_config(self, config: RunConfig) -> None:
        """Write the current config to `run.toml`; the previous file is kept as `run.<n>.toml`."""
        try:
            config_toml = dump_config(config)
            replace_config(self.held, config_toml)
            self._documents[CONFIG_FILE] = config_toml.encode()
            self.update_state(config_crc=_crc(config_toml))
        except OSError as error:
            self.event("note", text=f"run.toml can't be written and keeps the old settings: {error}")

    def save_checkpoint(
        self,
        state: Checkpoint,
        *,
        step: int,
        epoch: int,
        metrics: dict[str, float],
        reason: str,
        is_best: bool = False,
        is_last: bool = False,
        when_done: Callable[[], object] = lambda: None,
    ) -> None:
        """Save in the background. Its end is an event: `saved` once it would survive a power cut, or `save_failed`.

        Args:
            state: the checkpoint, no longer changed by the caller.
            step: optimizer steps done.
            epoch: epochs completed.
            metrics: validation metrics at this point; empty when it was not evaluated.
            reason: why it is saved.
            is_best: whether it is the best so far; `best.pt` will name it.
            is_last: whether the run ends with it.
            when_done: called once, from any thread, when `state` is no longer read.
        """
        # Not into a directory that was renamed since the last look.
        self.follow_directory()
        self._saver.submit(
            SaveRequest(state, step, epoch, dict(metrics), reason, is_best, is_last=is_last, when_done=when_done)
        )

    def state(self) -> StateFile:
        """A copy of the state as it will be written."""
        return self._journal.state()

    @property
    def save_error(self) -> str:
        """Why the newest save failed; empty when it didn't."""
        return str(self._journal.state().get("save_error") or "")

    def flush(self) -> None:
        """Wait until every save asked for is done and every record is on disk."""
        self._saver.flush()
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
            self._saver.close()
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


def _documents_of(run: Path) -> dict[str, bytes]:
    documents: dict[str, bytes] = {}
    for name in (CONFIG_FILE, INFO_FILE):
        # A run whose information was removed is a run all the same.
        with contextlib.suppress(FileNotFoundError):
            documents[name] = (run / name).read_bytes()
    return documents


def _retention(config: RunConfig, resumed_from: str) -> Retention:
    settings = config.checkpoint
    return Retention(settings.keep_last, settings.keep_every, frozenset({resumed_from} - {""}))


def _crc(config_toml: str) -> int:
    return zlib.crc32(config_toml.encode())


def _first_state(config: RunConfig, config_toml: str) -> StateFile:
    return {
        "status": "preparing",
        "phase": "",
        "message": "",
        "epoch": 0,
        "epochs": config.training.epochs,
        "step": 0,
        "total_steps": 0,
        "step_in_epoch": 0,
        "steps_per_epoch": 0,
        "batch_size": config.loader.batch_size,
        "config_crc": _crc(config_toml),
        "pid": os.getpid(),
        "pid_started": start_ticks(os.getpid()),
        "host": socket.gethostname(),
        "boot_id": boot_id(),
        "started": time.time(),
        "error": None,
        "resumed_from": None,
    }
