"""An app asks a real pseudo-terminal for its graphics: one answers, one is silent, one need not be asked."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torchdeck.tui.graphics.answers import QUESTIONS

PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from textual.app import ComposeResult
from torchdeck.tui.process.terminal import Terminal, TerminalApp
from torchdeck.tui.widgets.image_grid import GridImage, ImageGrid

FOLDER = Path(sys.argv[1])

class Screen(TerminalApp[None]):
    BINDINGS = [("q", "quit", "quit")]
    def compose(self) -> ComposeResult:
        yield ImageGrid()
    def on_ready(self) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
        self.query_one(ImageGrid).set_images([GridImage(pixels, "a picture")])
    def on_key(self, event) -> None:
        with (FOLDER / "keys").open("a") as file:
            file.write(event.key + " ")

with Terminal(FOLDER / "log") as terminal:
    Screen(terminal, graphics=sys.argv[2]).run()
"""


class ScriptedTerminal:
    """A pseudo-terminal of 80x24 cells of 10x20 pixels that sends the answers of the test.

    Attributes:
        received: everything that the app sent.
    """

    def __init__(self, folder: Path, wish: str, environment: dict[str, str]) -> None:
        script = folder / "program.py"
        script.write_text(PROGRAM)
        self.received = b""
        self._keys = folder / "keys"
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            for name in ("TMUX", "STY", "ZELLIJ", "NO_COLOR", "TERM_PROGRAM", "LC_TERMINAL", "COLUMNS", "LINES"):
                os.environ.pop(name, None)
            os.environ.update({"PYTHONPATH": os.getcwd(), "TERM": "xterm-256color", "COLORTERM": "truecolor"})
            os.environ.update(environment)
            os.execv(sys.executable, [sys.executable, str(script), str(folder), wish])
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 800, 480))

    def read(self, seconds: float) -> bytes:
        """Read until nothing has arrived for this time."""
        received = b""
        while select.select([self.terminal], [], [], seconds)[0]:
            try:
                received += os.read(self.terminal, 65536)
            except OSError:
                break
        self.received += received
        return received

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 90
        while text.encode() not in self.received:
            assert time.monotonic() < deadline, self.received
            self.read(0.05)

    def answer(self, *pieces: str) -> None:
        for piece in pieces:
            os.write(self.terminal, piece.encode())
            time.sleep(0.15)

    def keys(self) -> list[str]:
        return self._keys.read_text().split() if self._keys.exists() else []

    def leave(self) -> bytes:
        """Read what the app sends when it ends."""
        self.read(0.05)
        before = len(self.received)
        os.write(self.terminal, b"q")
        while not os.waitpid(self.pid, os.WNOHANG)[0]:
            self.read(0.05)
        self.pid = 0
        self.read(0.05)
        return self.received[before:]

    def close(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)


@contextmanager
def app_in_terminal(folder: Path, wish: str = "auto", **environment: str) -> Iterator[ScriptedTerminal]:
    terminal = ScriptedTerminal(folder, wish, environment)
    try:
        yield terminal
    finally:
        terminal.close()


def test_a_terminal_that_answers_late_and_in_pieces_gets_its_graphics_and_no_key_is_made_of_it(tmp_path: Path) -> None:
    with app_in_terminal(tmp_path) as terminal:
        # The screen does not wait: it shows blocks without an answer.
        terminal.wait_for("a picture")
        assert QUESTIONS.encode() in terminal.received
        assert "▀".encode() in terminal.received
        assert "\U0010eeee".encode() not in terminal.received
        terminal.answer("x\x1b_Gi=3", "1;OK\x1b", "\\\x1bP>|kitty(0.35.2)\x1b\\\x1b[6;20", ";10t\x1b[?62;", "cy")
        terminal.wait_for("\U0010eeee")
        assert terminal.received.count(b"\x1b_Ga=T") == 1
        assert terminal.received.index(b"\x1b_Ga=T") < terminal.received.index("\U0010eeee".encode())
        terminal.read(0.3)
        assert terminal.read(1.0) == b""
        assert b"\x1b_Ga=d,d=I" in terminal.leave()
        assert terminal.keys() == ["x", "y", "q"]


def test_a_silent_terminal_shows_blocks_and_its_keys_work(tmp_path: Path) -> None:
    with app_in_terminal(tmp_path) as terminal:
        terminal.wait_for("a picture")
        terminal.answer("x", "\x1b", "\x1b[A")
        assert b"\x1b_G" not in terminal.leave()
        assert "\U0010eeee".encode() not in terminal.received
        assert terminal.keys() == ["x", "escape", "up", "q"]


def test_a_way_that_is_wished_for_is_taken_without_a_question(tmp_path: Path) -> None:
    with app_in_terminal(tmp_path, "kitty") as terminal:
        terminal.wait_for("\U0010eeee")
        assert QUESTIONS.encode() not in terminal.received
        terminal.leave()
        assert terminal.keys() == ["q"]
