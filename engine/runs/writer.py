"""Writer of a run's directory: one object through which a live run writes everything."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

from ..config import RunConfig
from ..config.file import dump_config
from ..errors import RunError
from ..files.durable import SYSTEM, FileOperations
from ..run_files import CHECKPOINTS, CONFIG_FILE
from .best_result import best_of
from .on_disk.directory import create_run_directory, is_run, own_run, read_state
from .on_disk.journal import Journal
from .on_disk.lock import RunLock, acquire
from .on_disk.own_files import require_own_files
from .on_disk.run_folder import rescue_root
from .on_disk.state_file import StateFile
from .owner import RunOwner, crc_of, first_state
from .provenance import describe_origin
from .rewind import newest_results, replace_config, take_back
from .saving.checkpoint_format import Checkpoint
from .saving.checkpoint_index import step_file
from .saving.checkpoint_saver import CheckpointSaver, SaveRequest
from .saving.retention import Retention


class RunWriter(RunOwner):
    """Writer of a run's directory, which it owns while the run trains.

    Its methods return immediately and never raise into the training, except `flush` and `close`, which wait. They are
    called by one thread.
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
        super().__init__(path, lock, state, operations)
        self._best_metric = config.checkpoint.best_metric
        self._saver = self._opened_saver(config, resumed_from)

    def _opened_saver(self, config: RunConfig, resumed_from: str) -> CheckpointSaver:
        return CheckpointSaver(
            self.held / CHECKPOINTS, _retention(config, resumed_from), self._journal, self._operations
        )

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

    def rescue(self) -> None:
        """Where the last save failed: write the run on below the user's state folder, and save it there. Waits."""
        with self._place_turn:
            if self.relocation or not self.save_error or not self._has_open_files or self._is_closed:
                return
            self.relocation = f"{self.path} can't be written at the end of the run ({self.save_error})"
            self._write_on_elsewhere("rescued", [rescue_root()])
        self._say_moved()
        self._saver.retry_last()

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
                "config_crc": crc_of(config_toml),
                "metrics": metrics,
                "best": best_of(best, self._best_metric) if best is not None else None,
            }
            self._journal = Journal(self.held, state, self._operations)
            self._saver = self._opened_saver(config, step_file(at_step))
            self._has_open_files = True
        except OSError as error:
            raise RunError(f"{self.path.name}: can't be rewound: {error.strerror or error}") from error

    def write_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Replace `evaluation.json`, the newest evaluation in full; the value must not be changed afterwards."""
        self._journal.write_evaluation(evaluation)

    def probe(self, record: dict[str, Any]) -> None:
        """Append to `probes.jsonl`, what was observed inside the model; the record must not be changed afterwards."""
        self._journal.probe(record)

    def replace_config(self, config: RunConfig) -> None:
        """Write the current config to `run.toml`; the previous file is kept as `run.<n>.toml`."""
        try:
            config_toml = dump_config(config)
            replace_config(self.held, config_toml)
            self._documents[CONFIG_FILE] = config_toml.encode()
            self.update_state(config_crc=crc_of(config_toml))
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

    @property
    def save_error(self) -> str:
        """Why the newest save failed; empty when it didn't."""
        return str(self._journal.state().get("save_error") or "")

    @property
    def write_error(self) -> str:
        """Which of the run's records can't be written at the moment and why; empty when they are."""
        return self._journal.error.partition(";")[0]

    def flush(self) -> None:
        """Wait until every save asked for is done and every record is on disk."""
        self._saver.flush()
        super().flush()

    def _finish_saves(self) -> None:
        self._saver.close()

    def _write_on_elsewhere(self, kind: str, roots: Sequence[Path]) -> bool:
        is_moved = super()._write_on_elsewhere(kind, roots)
        if is_moved:
            self._saver.move(self.held / CHECKPOINTS)
        return is_moved

    def _way_back(self, path: Path) -> str:
        return f"it is saved and ended in {path}; to resume it: torchdeck resume {path}"


def _retention(config: RunConfig, resumed_from: str) -> Retention:
    settings = config.checkpoint
    return Retention(settings.keep_last, settings.keep_every, frozenset({resumed_from} - {""}))


def _first_state(config: RunConfig, config_toml: str) -> StateFile:
    return {**first_state(config_toml, config.training.epochs), "batch_size": config.loader.batch_size}
