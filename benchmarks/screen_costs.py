"""Cost of the screen: time to first paint against importing Textual, and output and CPU time of an idle studio.

    python benchmarks/screen_costs.py [--repeats N] [--idle SECONDS] [--theme NAME]

First paint is the first byte that draws the line of tabs into a real pseudo-terminal; its CPU seconds are those of
the whole process tree (the studio's parent and helper processes included) up to that byte. Idle is measured on every
pane and in dialogs of each kind: bytes sent to the terminal, and CPU of the studio's own process as a share of one
core; then once more on the panes of a run that has finished.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import resource
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil

REPOSITORY = Path(__file__).resolve().parents[1]
PANES = ("Data", "Model", "Setup", "Train", "Runs", "Sweeps", "Log")
DRAWN = b" Log"
DIALOGS = (
    ("palette", ":"),
    ("palette, typed", ":lr"),
    ("themes", ":choose the theme\r"),
    ("keys", "?"),
    ("question", "1S"),
    ("filter", "1/"),
    ("list of transforms", "1\ta"),
    ("models", "2:find a model\r"),
    ("field", "3j\r"),
    ("path", "5o"),
)


class Screen:
    """The studio in a pseudo-terminal."""

    def __init__(self, runs: Path, columns: int = 120, lines: int = 40, theme: str = "") -> None:
        self.begun = time.monotonic()
        self.received = b""
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "OMP_NUM_THREADS": "1"}
            if theme:
                environment["TORCHDECK_THEME"] = theme
            # An installed torchdeck is byte code: the first start leaves it for the others.
            for name in ("COLUMNS", "LINES", "PYTHONDONTWRITEBYTECODE"):
                environment.pop(name, None)
            os.chdir(REPOSITORY)
            os.execve(sys.executable, [sys.executable, "-m", "torchdeck", "digits", "--runs", str(runs)], environment)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def read(self, seconds: float, until: bytes | None = None) -> int:
        """Bytes that arrive within this time, or until these words have arrived."""
        count, deadline = 0, time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.terminal], [], [], left)[0]:
                data = os.read(self.terminal, 65536)
                count += len(data)
                self.received += data
            if until is not None and until in self.received:
                break
        return count

    def press(self, key: str) -> None:
        """Type a key."""
        os.write(self.terminal, key.encode())

    def processes(self) -> list[psutil.Process]:
        """The parent, the studio and what it started."""
        parent = psutil.Process(self.pid)
        return [parent, *parent.children(recursive=True)]

    def studio(self) -> psutil.Process:
        """The process that has the screen: the child of the small parent."""
        return psutil.Process(self.pid).children()[0]

    def close(self) -> None:
        """End all of it at once."""
        for process in reversed(self.processes()):
            process.kill()
        os.waitpid(self.pid, 0)
        os.close(self.terminal)


def cpu_seconds(processes: list[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def first_paint(runs: Path) -> tuple[float, float]:
    """CPU seconds and wall seconds until the line of tabs is drawn."""
    screen = Screen(runs)
    screen.read(30, until=DRAWN)
    wall, cpu = time.monotonic() - screen.begun, cpu_seconds(screen.processes())
    screen.close()
    return cpu, wall


def import_textual() -> tuple[float, float]:
    """CPU seconds and wall seconds of a Python that imports Textual."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run([sys.executable, "-c", "import textual.app"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.monotonic() - begun


def idle(screen: Screen, name: str, seconds: float) -> None:
    studio = screen.studio()
    before = cpu_seconds([studio])
    count = screen.read(seconds)
    share = (cpu_seconds([studio]) - before) / seconds
    print(f"idle  {name:<22} {count / seconds:8.1f} B/s  {share:7.2%} of a core")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--idle", type=float, default=10.0, help="seconds on each pane")
    parser.add_argument("--theme", default="", help="theme of the idle studio")
    arguments = parser.parse_args()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        first_paint(runs), import_textual()  # the file cache is warm afterwards
        pairs = [(first_paint(runs), import_textual()) for _ in range(arguments.repeats)]
        for name, index in (("first paint", 0), ("import textual.app", 1)):
            cpu = statistics.median(pair[index][0] for pair in pairs)
            wall = statistics.median(pair[index][1] for pair in pairs)
            print(f"{name:<20} {cpu:6.3f} s CPU  {wall:6.3f} s wall   (median of {arguments.repeats}, interleaved)")
        ratio = statistics.median(paint[0] / textual[0] for paint, textual in pairs)
        print(f"ratio of CPU         {ratio:6.2f}")
        if arguments.idle > 0:
            measure_idle(runs, arguments.idle, arguments.theme)


def measure_idle(runs: Path, seconds: float, theme: str) -> None:
    screen = Screen(runs, theme=theme)
    screen.read(30, until=DRAWN)
    screen.read(12)  # torch is imported, the data set is shown
    for number, pane in enumerate(PANES, start=1):
        screen.press(str(number))
        screen.read(6)
        if pane == "Setup":
            screen.press("\x1b")
            screen.read(3)
        idle(screen, pane, seconds)
    for name, keys in DIALOGS:
        for key in keys:
            screen.press(key)
            screen.read(0.3)
        screen.read(4)
        idle(screen, name, seconds)
        for _ in range(3):
            screen.press("\x1b")
            screen.read(1)
    screen.press("3")
    screen.press("S")
    screen.read(120, until="✓ finished".encode())
    screen.read(8)
    for number, pane in enumerate(PANES, start=1):
        if pane in ("Train", "Runs", "Log"):
            screen.press(str(number))
            screen.read(4)
            idle(screen, f"{pane}, run finished", seconds)
    screen.close()


if __name__ == "__main__":
    main()
