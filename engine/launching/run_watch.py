"""Starts the process beside a run that outlives it: see `torchdeck.engine.launching.run_watcher`."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from ..config import NotifyConfig
from ..config.secret_settings import MissingSecretError, secret_value
from ..machine.python_process import module_command


class RunWatch:
    """A context manager around the training of a run, up to and including its end being written."""

    def __init__(self, run: Path, held: Path, notify: NotifyConfig) -> None:
        """Watch the process that we are.

        Args:
            run: the directory of the run that it trains.
            held: the same by way of a descriptor, which the watcher gets: it writes nowhere else.
            notify: whom to notify if it dies. The watcher is told, rather than to read `run.toml`: others may write
                into the directory, and this was agreed to.
        """
        self._run, self._held = run, held
        self._notify = notify
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._watcher = _started(self._run, self._held, _with_values(self._notify))
        except OSError as error:
            print(f"torchdeck: the cause can't be recorded if this run is killed: {error}", file=sys.stderr)
        return self

    def move(self, run: Path, held: Path) -> None:
        """The run's directory is elsewhere now: have another process watch it there."""
        self.__exit__(None, None, None)
        self._run, self._held = run, held
        self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait()


def _with_values(notify: NotifyConfig) -> NotifyConfig:
    """The settings with the secrets themselves, without those that this machine does not have."""
    values = {}
    for name in ("command", "webhook"):
        values[name] = ""
        # The run's notes say so.
        with contextlib.suppress(MissingSecretError):
            values[name] = secret_value(f"notify.{name}", getattr(notify, name))
    return notify.model_copy(update=values)


def _started(run: Path, held: Path, notify: NotifyConfig) -> subprocess.Popen[bytes]:
    """The watcher of this process, which is told by a pipe what no list of processes shows. Raises OSError."""
    # A descriptor of this process rather than its number, which may be another's by the time it is looked up.
    process = os.pidfd_open(os.getpid())
    folder = -1
    try:
        folder = os.open(held, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        words = (str(run), str(folder), str(process), str(os.getpid()))
        watcher = subprocess.Popen(
            module_command("torchdeck.engine.launching.run_watcher", *words),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(process, folder),
            # Signals that end a terminal's processes or a shell's job must not end the watcher.
            start_new_session=True,
        )
        assert watcher.stdin is not None
        # A watcher that ended at once is missed at the end, not here.
        with contextlib.suppress(BrokenPipeError), watcher.stdin as pipe:
            pipe.write(notify.model_dump_json().encode())
        return watcher
    finally:
        os.close(process)
        if folder >= 0:
            os.close(folder)
