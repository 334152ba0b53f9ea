"""The real studio in a real pseudo-terminal, read by a terminal emulator."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from emulated_terminal import EmulatedTerminal
from warm_python import warm_python

from torchdeck.engine.runs.reader import RunReader

REPOSITORY = Path(__file__).resolve().parents[2]


class StudioTerminal(EmulatedTerminal):
    """A program in a terminal of 100x30.

    Attributes:
        runs: the folder of its runs.
    """

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.runs = folder / "runs"
        environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm-256color"}
        environment.update(OMP_NUM_THREADS="1", TORCHDECK_RUNS=str(self.runs))
        super().__init__(command, environment, folder, 100, 30)

    def until(self, condition: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.screen()
            self.read(0.05)

    def until_shown(self, text: str) -> None:
        self.until(lambda: text in self.screen())

    def choose_log_source(self, key: str, name: str) -> None:
        """Go to the log pane's list of sources, which takes the place of the lines here, and to one of them.

        Args:
            key: leads to the source from the first one, the run's events.
            name: of the source.
        """
        self.press("7v")
        self.until(lambda: self._is_marked("events"))
        self.press(key)
        self.until(lambda: self._is_marked(name))
        self.press("\r")

    def _is_marked(self, word: str) -> bool:
        """Whether the cursor of a focused list is on a row that begins with a word."""
        self.read(0.02)
        rows = [(at, line.strip("│ ")) for at, line in enumerate(self.emulator.display)]
        found = [at for at, text in rows if text.startswith(word)]
        return any(self.emulator.buffer[at][self.emulator.display[at].index(word)].bold for at in found)

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
        super().close()


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
def studio_in_terminal(
    folder: Path, *arguments: str, program: tuple[str, ...] = (), python: tuple[str, ...] = ()
) -> Iterator[StudioTerminal]:
    """Start the studio with command-line arguments; ends it and its runs at the end.

    Args:
        program: what Python runs in place of the studio, such as `-m torchdeck`, the studio without any change.
        python: what runs it, such as `(sys.executable,)`, a process that begins from nothing. By itself a fork of one
            that has torch imported already.
    """
    program = program or ("-c", STUDIO.format(warm=warm_python()))
    terminal = StudioTerminal(folder, [*(python or warm_python()), *program, *arguments])
    try:
        yield terminal
    finally:
        terminal.close()
