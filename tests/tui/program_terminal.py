"""Small programs with a screen of their own, in a real pseudo-terminal."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from emulated_terminal import EmulatedTerminal

PROGRAM = """
import ctypes, os, signal, subprocess, sys, threading, time, warnings
from pathlib import Path
from textual.app import ComposeResult
from textual.widgets import Static
from torchdeck.tui.process.parent import Parent, run_behind_parent
from torchdeck.tui.process.terminal import Terminal, TerminalApp

FOLDER = Path(sys.argv[1])

class Screen(TerminalApp[str]):
    BINDINGS = [("q", "quit", "quit"), ("d", "detach", "detach")]
    def compose(self) -> ComposeResult:
        yield Static("the screen")
    def on_ready(self) -> None:
        self.when_ready()
    def on_resize(self, event) -> None:
        self.query_one(Static).update(f"the screen is {event.size.width}x{event.size.height}")
    def when_ready(self) -> None:
        pass
    def action_detach(self) -> None:
        self.exit("detach")
"""


RUN = """
with Terminal(FOLDER / "engine.log") as terminal:
    app = Screen(terminal)
    app.run()
"""

TRAIN_ON = """
def train():
    for step in range(10):
        time.sleep(0.1)
        print("step", step)
    (FOLDER / "done").write_text(f"{terminal.is_lost}")

with Terminal(FOLDER / "engine.log") as terminal:
    app = Screen(terminal)
    thread = threading.Thread(target=train)
    def begin():
        thread.start()
    app.when_ready = begin
    app.run()
    while thread.is_alive():
        thread.join(0.1)
sys.exit(0)
"""


class ProgramTerminal(EmulatedTerminal):
    """A program in a terminal of 80x24, or a shell in which it was started."""

    def __init__(self, folder: Path, program: str, *, shell: bool = False) -> None:
        script = folder / "program.py"
        script.write_text(PROGRAM + program)
        self.folder = folder
        environment = {**os.environ, "PYTHONPATH": os.getcwd(), "TERM": "xterm-256color", "PS1": "shell> "}
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        command = [sys.executable, str(script), str(folder)]
        in_shell = ["bash", "--norc", "--noediting", "-i"]
        super().__init__(in_shell if shell else command, environment, Path.cwd(), 80, 24)
        if shell:
            run = folder / "run"
            run.write_text(" ".join(command))
            self.wait_for(lambda: self.shows("shell>"))
            self.press(f"$(cat {run}); echo shell is back: $?\r")

    def shows(self, text: str) -> bool:
        self.read(0.05)
        return any(text in line for line in self.emulator.display)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, and read nothing from the terminal unless the condition does."""
        deadline = time.monotonic() + 90
        while not condition():
            assert time.monotonic() < deadline, "\n".join(self.emulator.display) + self.log()
            time.sleep(0.02)

    def log(self) -> str:
        path = self.folder / "engine.log"
        return path.read_text() if path.exists() else ""


StartProgram = Callable[..., ProgramTerminal]
