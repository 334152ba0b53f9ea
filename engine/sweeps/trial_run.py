"""The run of a trial: an ordinary `torchdeck train` in a process of its own, which outlives its worker."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from ..config.file import dump_config
from ..config.run import RunConfig
from ..config.secret_settings import with_secrets_kept
from ..errors import RunError
from ..files.durable import atomic_write
from ..machine.python_process import module_command
from ..run_files import CHECKPOINTS
from ..runs.control import send
from ..runs.on_disk.directory import is_run, read_info
from ..runs.reader import RunReader
from .folder import SweepFolder
from .trial_lock import is_locked, wait_for_lock

RunEnd = Literal["finished", "stopped", "interrupted", "failed", "died", "missing"]

_LONGEST_NAME = 56
_LOG_BYTES = 4000


class TrialRun:
    """The run of one trial, or of one seed of it.

    Attributes:
        folder: the sweep.
        trial: number of the trial.
        name: the name that the run is given.
    """

    def __init__(self, folder: SweepFolder, trial: int, config: RunConfig, seed_index: int, is_one_of: int) -> None:
        """Nothing is started yet.

        Args:
            folder: the sweep.
            trial: number of the trial.
            config: config of the trial, with the seed of its first run.
            seed_index: which of the trial's runs.
            is_one_of: how many runs the trial has.
        """
        self.folder, self.trial = folder, trial
        stem = f"{config.name[:_LONGEST_NAME]}-t{trial:04d}"
        self.name = f"{stem}-s{seed_index}" if is_one_of > 1 else stem
        self._file = f"s{seed_index}.toml" if is_one_of > 1 else "toml"
        self._config = config.model_copy(update={"name": self.name, "seed": config.seed + seed_index})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def lives(self) -> bool:
        """Whether a process trains it, be it this worker's or one that a dead worker started."""
        if self._process is not None:
            return self._process.poll() is None
        return is_locked(self._lock) or ((path := self.path()) is not None and RunReader(path).is_alive())

    @property
    def was_started_here(self) -> bool:
        """Whether this worker started its newest process."""
        return self._process is not None

    @property
    def exit_status(self) -> int | None:
        """What the process that this worker started ended with; None while it lives, and for another worker's."""
        return self._process.poll() if self._process is not None else None

    def path(self) -> Path | None:
        """The run's directory, the newest where it was begun several times; None before there is one."""
        found = [
            path
            for path in self.folder.runs_root.glob(f"{self.name}-*")
            if is_run(path)
            and (info := read_info(path)).get("sweep") == self.folder.name
            and info.get("trial") == self.trial
        ]
        return max(found, key=lambda path: (read_info(path).get("created", 0), path.name), default=None)

    def begin(self, environment: Mapping[str, str], keep_open: tuple[int, ...]) -> None:
        """Start it, or resume it from its newest checkpoint.

        Args:
            environment: variables that the process has besides the worker's own.
            keep_open: descriptors that it inherits: the lock of its GPU.

        Raises:
            RunError: it can't be started.
        """
        path = self.path()
        if path is not None and any((path / CHECKPOINTS).glob("step-*.pt")):
            arguments = ["resume", path.name]
        else:
            arguments = ["train", str(self._written_config()), "--part-of", f"sweep={self.folder.name}"]
            arguments += ["--part-of", f"trial={self.trial}"]
        command = module_command("torchdeck", *arguments, "--runs", str(self.folder.runs_root), "--json")
        try:
            # It may be looked at in this very moment, by those who ask whether it is held.
            with wait_for_lock(self._lock) as lock, self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    start_new_session=True,
                    env={**os.environ, **environment},
                    pass_fds=(lock.descriptor, *keep_open),
                )
        except OSError as error:
            raise RunError(f"trial {self.trial}: can't be started: {error.strerror or error}") from error

    def stop(self) -> bool:
        """Ask it to save and end. Returns whether it was asked."""
        path = self.path()
        if path is None:
            return False
        try:
            return send(path, {"cmd": "stop", "reason": f"sweep {self.folder.name}"}).get("ok", False)
        except RunError:
            # It has ended, is not ready yet, or trains on another machine.
            return False

    def end(self) -> RunEnd:
        """How it ended: "interrupted" by a signal after saving, "missing" where it never had a directory."""
        path = self.path()
        if path is None:
            return "missing"
        status = RunReader(path).status()
        if status == "stopped" and self._process is not None and (self._process.returncode or 0) >= 128:
            return "interrupted"
        return status if status in ("finished", "stopped", "failed") else "died"  # type: ignore[return-value]

    def error(self) -> str:
        """Why it failed: from its state, else from what its process printed."""
        path = self.path()
        if path is not None and (text := RunReader(path).state().get("error")):
            return str(text)
        if path is not None:
            return f"its process was killed or crashed; {path.name}/engine.log may say why"
        try:
            with self._log.open("rb") as log:
                log.seek(max(0, log.seek(0, os.SEEK_END) - _LOG_BYTES))
                lines = log.read().decode(errors="replace").splitlines()
        except OSError:
            lines = []
        said = [line for line in lines if line.strip()]
        return said[-1].removeprefix("torchdeck: ") if said else "its process ended without a word"

    def wait(self, seconds: float) -> bool:
        """Wait for its process to end. Returns whether it has."""
        until = time.monotonic() + seconds
        while self.lives and time.monotonic() < until:
            time.sleep(0.1)
        return not self.lives

    @property
    def _lock(self) -> Path:
        return self.folder.trial_file(self.trial, "run")

    @property
    def _log(self) -> Path:
        return self.folder.trial_file(self.trial, "log")

    def _written_config(self) -> Path:
        path = self.folder.trial_file(self.trial, self._file)
        try:
            atomic_write(path, dump_config(with_secrets_kept(self._config)).encode(), mode=0o600)
        except OSError as error:
            raise RunError(f"{path}: can't be written: {error.strerror or error}") from error
        return path
