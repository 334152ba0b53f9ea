"""The real studio in a real pseudo-terminal, read by a terminal emulator."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyte
from warm_python import warm_python

from torchdeck.engine.runs.reader import RunReader

REPOSITORY = Path(__file__).resolve().parents[2]


class StudioTerminal:
    """A program in a pseudo-terminal of 100x30.

    Attributes:
        received: every byte that it sent to the terminal.
        runs: the folder of its runs.
    """

    def __init__(self, folder: Path, arguments: list[str], program: list[str]) -> None:
        self.runs = folder / "runs"
        self.received = b""
        self._emulator = pyte.Screen(100, 30)
        self._stream = pyte.ByteStream(self._emulator)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color"}
            environment.update(OMP_NUM_THREADS="1", TORCHDECK_RUNS=str(self.runs))
            os.chdir(folder)
            os.execve(sys.executable, [sys.executable, *program, *arguments], environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))

    def read(self, seconds: float) -> None:
        """Read what arrives within this time."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.terminal < 0:
                time.sleep(left)
                return
            if not select.select([self.terminal], [], [], left)[0]:
                return
            try:
                data = os.read(self.terminal, 65536)
            except OSError as error:
                # The terminal is closed on the other side; nothing more will arrive.
                assert error.errno == errno.EIO
                time.sleep(left)
                return
            self.received += data
            # pyte treats the "u" of the kitty keyboard protocol as a cursor movement
            self._stream.feed(data.replace(b"\x1b[<u", b"").replace(b"\x1b[>25u", b""))

    def screen(self) -> str:
        self.read(0.02)
        return "\n".join(self._emulator.display)

    def until(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.screen()
            self.read(0.05)

    def until_shown(self, text: str) -> None:
        self.until(lambda: text in self.screen())

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def choose_log_source(self, key: str, name: str) -> None:
        """Go to the log pane's list of sources, which takes the place of the lines here, and to one of them.

        Args:
            key: leads to the source from the first one, the run's events.
            name: of the source.
        """
        self.press("6v")
        self.until(lambda: self._is_marked("events"))
        self.press(key)
        self.until(lambda: self._is_marked(name))
        self.press("\r")

    def _is_marked(self, word: str) -> bool:
        """Whether the cursor of a focused list is on a row that begins with a word."""
        self.read(0.02)
        rows = [(at, line.strip("│ ")) for at, line in enumerate(self._emulator.display)]
        found = [at for at, text in rows if text.startswith(word)]
        return any(self._emulator.buffer[at][self._emulator.display[at].index(word)].bold for at in found)

    def hang_up(self) -> None:
        """Close the terminal, as when a connection breaks."""
        os.close(self.terminal)
        self.terminal = -1

    def exit_status(self) -> int:
        """Wait for the program that the shell sees; returns its status as a shell reports it."""
        deadline = time.monotonic() + 90
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                self.read(0.2)
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, self.screen()
            self.read(0.05)

    def run(self) -> RunReader:
        """Wait for the only run and return it."""
        found: list[Path] = []

        def is_there() -> bool:
            found[:] = [path for path in self.runs.glob("*") if not path.name.startswith(".")]
            return bool(found)

        self.until(is_there)
        return RunReader(found[0])

    def until_trained(self, run: RunReader, epoch: int) -> None:
        """Wait until an epoch has started."""
        self.until(lambda: run.poll() and run.progress().epoch >= epoch and run.progress().step > 0)

    def close(self) -> None:
        for path in self.runs.glob("*"):
            owner = RunReader(path).owner_pid() if (path / "run.toml").exists() else None
            if owner:
                os.kill(owner, signal.SIGKILL)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.terminal >= 0:
            os.close(self.terminal)


# The studio, whose process for models and data is a fork of one that has torch imported already: it has no part in
# what these tests look at, and would take the processor from the run.
STUDIO = """
import sys

from torchdeck.tui.process import worker_process
from torchdeck.tui.cli import main

worker_process.python_command = lambda: {warm}
sys.exit(main())
"""


@contextmanager
def studio_in_terminal(folder: Path, *arguments: str, program: tuple[str, ...] = ()) -> Iterator[StudioTerminal]:
    """Start the studio with command-line arguments; ends it and its runs at the end.

    Args:
        program: what Python runs in place of the studio, such as `-m torchdeck`, the studio without any change.
    """
    program = program or ("-c", STUDIO.format(warm=warm_python()))
    terminal = StudioTerminal(folder, list(arguments), list(program))
    try:
        yield terminal
    finally:
        terminal.close()
