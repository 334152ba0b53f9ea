"""A run that is trained by `torchdeck train` in a process of its own, which outlives the one that started it.

The process inherits a lock, so that another one knows whether it lives even before the run has a directory. The run is
found again by what its `run.json` says it is part of.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..config.file import dump_config
from ..config.run import RunConfig
from ..config.secret_settings import with_secrets_kept
from ..errors import RunError
from ..files.durable import atomic_write
from ..launching.failure_words import OUT_OF_MEMORY
from ..machine.python_process import module_command
from ..run_files import CHECKPOINTS
from ..runs.control import send
from ..runs.on_disk.directory import is_run, read_info, run_directories
from ..runs.reader import RunReader
from .file_lock import is_locked, wait_for_lock

RunEnd = Literal["finished", "stopped", "interrupted", "failed", "died", "missing"]

_LOG_BYTES = 4000
_REFUSED = (1, 2)


@dataclass(frozen=True)
class RunFiles:
    """Where the files beside a detached run lie.

    Attributes:
        config: the config that it is started with.
        lock: held by its process.
        log: what its process prints, before it has a directory and besides.
    """

    config: Path
    lock: Path
    log: Path


class DetachedRun:
    """One run, before, while and after it is trained.

    Attributes:
        config: its config.
        part_of: what `run.json` says of it, such as {"sweep": …, "trial": 3}; it identifies the run.
    """

    def __init__(self, runs_root: Path, config: RunConfig, part_of: Mapping[str, Any], files: RunFiles) -> None:
        """Nothing is started yet.

        Args:
            runs_root: the folder of the runs.
            config: config of the run; its name begins the name of the directory.
            part_of: what identifies the run.
            files: files beside it.
        """
        self.config, self.part_of = config, dict(part_of)
        self._root, self._files = runs_root, files
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def lives(self) -> bool:
        """Whether a process trains it, be it started here or by one that has died."""
        if self._process is not None:
            return self._process.poll() is None
        return is_locked(self._files.lock) or ((path := self.path()) is not None and RunReader(path).is_alive())

    @property
    def was_started_here(self) -> bool:
        """Whether this process started its newest life."""
        return self._process is not None

    @property
    def was_refused(self) -> bool:
        """Whether its process ended before it had a directory, and would again: its config can't be trained."""
        return self._process is not None and self._process.poll() in _REFUSED and self.path() is None

    def path(self, *, is_renamed: bool = False) -> Path | None:
        """The run's directory, the newest where it was begun several times; None before there is one.

        Args:
            is_renamed: whether to look into every run of the folder, as the user may have renamed it.
        """
        candidates = self._root.glob(f"{self.config.name}-*")
        found = [path for path in candidates if is_run(path) and self._is_ours(path)]
        if not found and is_renamed:
            found = [path for path in run_directories(self._root) if self._is_ours(path)]
        return max(found, key=lambda path: (read_info(path).get("created", 0), path.name), default=None)

    def begin(self, environment: Mapping[str, str], keep_open: tuple[int, ...] = ()) -> None:
        """Start it, or resume it from its newest checkpoint.

        Args:
            environment: variables that its process has besides this one's.
            keep_open: descriptors that it inherits, such as the lock of its GPU.

        Raises:
            RunError: it can't be started.
        """
        path = self.path(is_renamed=True)
        if path is not None and any((path / CHECKPOINTS).glob("step-*.pt")):
            arguments = ["resume", path.name]
        else:
            arguments = ["train", str(self._written_config())]
            for key, value in self.part_of.items():
                arguments += ["--part-of", f"{key}={value}"]
        command = module_command("torchdeck", *arguments, "--runs", str(self._root), "--json")
        try:
            # It may be looked at in this very moment, by those who ask whether it is held.
            with wait_for_lock(self._files.lock) as lock, self._files.log.open("ab") as log:
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
            raise RunError(f"{self.config.name}: can't be started: {error.strerror or error}") from error

    def stop(self, reason: str) -> bool:
        """Ask it to save and end. Returns whether it was asked."""
        path = self.path()
        if path is None:
            return False
        try:
            return send(path, {"cmd": "stop", "reason": reason}).get("ok", False)
        except RunError:
            # It has ended, is not ready yet, or trains on another machine.
            return False

    def end(self) -> RunEnd:
        """How it ended: "interrupted" by a signal after saving, "missing" where it never had a directory."""
        path = self.path(is_renamed=True)
        if path is None:
            return "missing"
        status = RunReader(path).status()
        if status == "stopped" and self._process is not None and (self._process.poll() or 0) >= 128:
            return "interrupted"
        return status if status in ("finished", "stopped", "failed") else "died"  # type: ignore[return-value]

    def ran_out_of_memory(self) -> bool:
        """Whether it failed for lack of memory before its first epoch had ended."""
        path = self.path()
        if path is None:
            return False
        reader = RunReader(path)
        reader.poll()
        return str(reader.state().get("error") or "").startswith(OUT_OF_MEMORY) and not reader.epoch_records()

    def error(self) -> str:
        """Why it failed: from its state, else from what its process printed."""
        path = self.path()
        if path is not None and (text := RunReader(path).state().get("error")):
            return str(text)
        if path is not None:
            return f"its process was killed or crashed; {path.name}/engine.log may say why"
        try:
            with self._files.log.open("rb") as log:
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

    def _is_ours(self, path: Path) -> bool:
        info = read_info(path)
        return all(info.get(key) == value for key, value in self.part_of.items())

    def _written_config(self) -> Path:
        path = self._files.config
        try:
            atomic_write(path, dump_config(with_secrets_kept(self.config)).encode(), mode=0o600)
        except OSError as error:
            raise RunError(f"{path}: can't be written: {error.strerror or error}") from error
        return path
