"""A program in a real pseudo-terminal, read by a terminal emulator."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte


class EmulatedTerminal:
    """The terminal and the process that was started in it.

    Attributes:
        received: every byte that it sent to the terminal.
        emulator: what the terminal shows.
        terminal: descriptor of the terminal's end; -1 after a hang-up.
        pid: its process; 0 after its end.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, columns: int, rows: int
    ) -> None:
        self.received = b""
        self.emulator = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.emulator)
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], list(command), {"TERM": "xterm-256color", **environment})
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.emulator.resize(rows, columns)

    def read(self, seconds: float) -> bytes:
        """Read what arrives within this time."""
        received = b""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if self.terminal < 0:
                time.sleep(left)
                break
            if not select.select([self.terminal], [], [], left)[0]:
                break
            try:
                data = os.read(self.terminal, 65536)
            except OSError as error:
                # The terminal is closed on the other side; nothing more will arrive.
                assert error.errno == errno.EIO
                time.sleep(left)
                break
            received += data
            # pyte treats the "u" of the kitty keyboard protocol as a cursor movement
            self._stream.feed(data.replace(b"\x1b[<u", b"").replace(b"\x1b[>25u", b""))
        self.received += received
        return received

    def screen(self) -> str:
        self.read(0.02)
        return "\n".join(self.emulator.display)

    def press(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())

    def hang_up(self) -> None:
        """Close the terminal, as when a connection breaks."""
        os.close(self.terminal)
        self.terminal = -1

    def exit_status(self, seconds: float = 90) -> int:
        """Wait for the end; returns the status, negative for a signal."""
        deadline = time.monotonic() + seconds
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.pid = 0
                if self.terminal >= 0:
                    self.read(0.2)
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, f"it did not end\n{self.screen()}"
            self.read(0.05)

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.terminal >= 0:
            os.close(self.terminal)
