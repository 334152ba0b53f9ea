"""Starts the process beside a run that outlives it: see `torchdeck.engine.launching.run_watcher`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from ..machine.python_process import module_command


class RunWatch:
    """A context manager around the training of a run, up to and including its end being written."""

    def __init__(self, run: Path) -> None:
        """Watch the process that we are, which trains the run in directory `run`."""
        self._run = run
        self._watcher: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._watcher = _started(self._run)
        except OSError as error:
            print(f"torchdeck: the cause can't be recorded if this run is killed: {error}", file=sys.stderr)
        return self

    def move(self, run: Path) -> None:
        """The run's directory is elsewhere now: have another process watch it there."""
        self.__exit__(None, None, None)
        self._run = run
        self.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._watcher is not None:
            self._watcher.kill()
            self._watcher.wait()


def _started(run: Path) -> subprocess.Popen[bytes]:
    """The watcher of this process. Raises OSError."""
    # A descriptor of this process rather than its number, which may be another's by the time it is looked up.
    process = os.pidfd_open(os.getpid())
    try:
        return subprocess.Popen(
            module_command("torchdeck.engine.launching.run_watcher", str(run), str(process), str(os.getpid())),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(process,),
            # Signals that end a terminal's processes or a shell's job must not end the watcher.
            start_new_session=True,
        )
    finally:
        os.close(process)
