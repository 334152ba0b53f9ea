"""The process that runs any program as a run: it keeps the output, records the figures, and says how it ended.

    python -m torchdeck.engine.foreign.program ANNOUNCE ROOT NAME PATTERN COMMAND…

It has a session of its own, so that the program survives the terminal that it was started from.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import TorchdeckError
from ..files.regular_file import open_for_appending
from ..machine.python_process import module_command
from ..machine.signal_names import signal_name
from ..recording.composition import Composition
from ..recording.recorder import Ending, Recorder, start_recording
from ..run_files import LOG_FILE
from ..runs.on_disk.log_bound import bound_log
from ..runs.process_end import out_of_memory_kills
from .program_figures import ProgramFigures

SOURCE = "run"
_LOOK_SECONDS = 0.5
_STATUS_OF_SIGNAL = 128


class Program:
    """A program that is being run, and the run that records it."""

    def __init__(self, command: list[str], run: Recorder, pattern: re.Pattern[str] | None) -> None:
        """Start it.

        Args:
            command: its words.
            run: records it.
            pattern: what finds figures in its output; None for what is written like `loss=0.5`.

        Raises:
            OSError: it can't be started.
        """
        assert run.held is not None and run.path is not None
        self._run = run
        self._log = run.held / LOG_FILE
        self._stops = 0
        output = open_for_appending(self._log)
        try:
            # What this process has to say is looked for there, too.
            os.dup2(output, 2)
            self._figures = ProgramFigures(self._log.resolve(), Path.cwd(), pattern)
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        finally:
            os.close(output)

    def follow(self) -> int:
        """Record it until it has ended. Returns its exit status, that of a shell after a signal."""
        run = self._run
        kills_before, kills = out_of_memory_kills(), out_of_memory_kills()
        while True:
            try:
                code = self.process.wait(_LOOK_SECONDS)
                break
            except subprocess.TimeoutExpired:
                self._record(is_over=False)
                self._obey()
                kills_before, kills = kills, out_of_memory_kills()
        self._record(is_over=True)
        status, error = self._ending(code, is_memory_short=out_of_memory_kills() > kills_before)
        run.finish(status, error)
        return code if code >= 0 else _STATUS_OF_SIGNAL - code

    def pass_on(self, number: int, frame: Any = None) -> None:
        """Send a signal to the program and what it has started."""
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return

    def _record(self, *, is_over: bool) -> None:
        had_origin = self._figures.origin
        while rows := self._figures.read(is_over=is_over):
            for step, epoch, values in rows:
                self._run.log(values, step=step, epoch=epoch)
            if not is_over:
                break
        if self._figures.origin != had_origin:
            self._run.note(f"figures come from {self._figures.origin}")
        try:
            bound_log(self._log)
        except OSError:
            # A full disk has no room for the copy: another look will come.
            return

    def _obey(self) -> None:
        for command in self._run.commands():
            name = command["cmd"]
            if name == "stop":
                self._stops += 1
                self.pass_on(signal.SIGCONT)
                self.pass_on(signal.SIGTERM if self._stops == 1 else signal.SIGKILL)
                self._run.note("stop requested: " + ("SIGTERM sent" if self._stops == 1 else "SIGKILL sent"))
            elif name in ("pause", "resume"):
                self.pass_on(signal.SIGSTOP if name == "pause" else signal.SIGCONT)
                self._run.say_status("paused" if name == "pause" else "running")
            else:
                self._run.note(f"{name}: a program that is run takes pause, resume and stop")

    def _ending(self, code: int, *, is_memory_short: bool) -> tuple[Ending, str | None]:
        if code == 0:
            return "finished", None
        if self._stops or code in (-signal.SIGINT, _STATUS_OF_SIGNAL + signal.SIGINT):
            return "stopped", None
        if code < 0:
            reason = " after the kernel ran out of memory" if code == -signal.SIGKILL and is_memory_short else ""
            return "failed", f"ended by {signal_name(-code)}{reason}"
        last = _last_line(self._log)
        return "failed", f"exit status {code}" + (f": {last}" if last else "")


def run_program(announce: int, root: Path, name: str, pattern: str, command: list[str]) -> int:
    """Run a program to its end. Says on a descriptor how it began: `{"path", "pid"}` or `{"error"}`."""
    settings = {"command": shlex.join(command), "directory": os.getcwd()}
    try:
        run = start_recording(name, settings, root, Composition(time.monotonic()), SOURCE)
        try:
            program = Program(command, run, re.compile(pattern) if pattern else None)
        except OSError as error:
            run.finish("failed", f"{command[0]}: can't be started: {error.strerror or error}")
            raise TorchdeckError(f"{command[0]}: can't be started: {error.strerror or error}") from error
    except TorchdeckError as error:
        _announce(announce, {"error": str(error)})
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, program.pass_on)
    # Offered before anybody knows of the run.
    run.commands()
    run.flush()
    _announce(announce, {"path": str(run.path), "pid": program.process.pid})
    return program.follow()


def watcher_command(announce: int, root: Path, name: str, pattern: str, command: Sequence[str]) -> list[str]:
    """The command line of this process; see `run_program`."""
    module = "torchdeck.engine.foreign.program"
    return module_command(module, str(announce), str(root), name, pattern, *command)


def _announce(descriptor: int, document: dict[str, Any]) -> None:
    # Its reader is gone where the terminal was lost meanwhile.
    with contextlib.suppress(BrokenPipeError), os.fdopen(descriptor, "w", encoding="utf-8") as pipe:
        json.dump(document, pipe)


def _last_line(log: Path) -> str:
    """The last line of an output that is not empty."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
    except OSError:
        return ""
    return next((line for line in reversed(lines) if line), "")[:300]


if __name__ == "__main__":
    sys.exit(run_program(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4], sys.argv[5:]))
