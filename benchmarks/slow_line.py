"""Bytes that keys send to the terminal, and how long a picture takes over a slow line.

    python benchmarks/slow_line.py [--delay SECONDS] [--rate BITS] [--runs N]

The studio runs in a real pseudo-terminal. Its output is read no faster than the line carries it, with the buffer that
a socket has, so that the studio waits as it would; a byte arrives when the line has carried all before it, and the
delay has passed. A key takes the delay too. Listed are the bytes of what a key draws, the seconds from the key to the
last of them, the CPU seconds of the studio, and what the seconds come to where a core is free: both delays, the CPU
seconds and the time on the line, which a busy machine makes longer by the waits for a core.
"""

from __future__ import annotations

import argparse
import os
import select
import tempfile
import time
from pathlib import Path

from run_browser import make_run
from screen_costs import DRAWN, PANES, Screen, cpu_seconds

_BUFFER = 32_768  # bytes on the way before the studio has to wait
_QUIET, _FIRST = 0.7, 3.0  # seconds without output after which a picture is complete: after some, and before any


class Line:
    """A line between the studio and its user.

    Attributes:
        delay: seconds that a byte takes either way.
        rate: bits per second.
    """

    def __init__(self, screen: Screen, delay: float, rate: float) -> None:
        self.screen, self.delay, self.rate = screen, delay, rate
        self._free = 0.0

    def press(self, key: str) -> tuple[int, float, float]:
        """Press a key: bytes, seconds until the last of them has arrived, CPU seconds."""
        studio = self.screen.studio()
        before, begun = cpu_seconds([studio]), time.monotonic()
        time.sleep(self.delay)
        self.screen.press(key)
        count, arrived = 0, begun
        last_read = time.monotonic()
        while (now := time.monotonic()) - last_read < (_QUIET if count else _FIRST):
            # The line carries what is on the way before it takes more.
            if (backlog := (self._free - now) * self.rate / 8 - _BUFFER) > 0:
                time.sleep(min(0.02, backlog * 8 / self.rate))
                last_read = now
                continue
            if not select.select([self.screen.terminal], [], [], 0.02)[0]:
                continue
            data = os.read(self.screen.terminal, 4096)
            last_read = time.monotonic()
            self._free = max(self._free, last_read) + len(data) * 8 / self.rate
            count, arrived = count + len(data), self._free + self.delay
        return count, arrived - begun, cpu_seconds([studio]) - before


def main() -> None:
    """Measure pane switches, moves of the cursor, changes of focus, and a live run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--delay", type=float, default=0.05, help="seconds either way")
    parser.add_argument("--rate", type=float, default=1e6, help="bits per second")
    parser.add_argument("--runs", type=int, default=40, help="runs in the table")
    parser.add_argument("--live", type=float, default=20.0, help="seconds of a live run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "runs"
        for number in range(arguments.runs):
            make_run(runs, f"run{number:05d}", 5)
        for columns, lines in ((120, 40), (200, 60)):
            screen = Screen(runs, columns, lines)
            screen.read(60, until=DRAWN)
            screen.read(15)
            switch(Line(screen, arguments.delay, arguments.rate), f"{columns}x{lines}")
            if columns == 200:
                move(Line(screen, arguments.delay, arguments.rate))
            elif arguments.live:
                live(screen, arguments.live)
            screen.close()


def switch(line: Line, size: str) -> None:
    """Go to every pane twice: the first visit makes it."""
    for visit in ("first", "again"):
        for number, pane in enumerate(PANES, start=1):
            line.screen.read(1.5)
            report(line, f"{size}  {pane}, {visit} visit", *line.press(str(number)))


def move(line: Line) -> None:
    """Move the cursor in the table of runs, and the focus."""
    line.press("5")
    line.screen.read(3)
    for key, words in (("j", "cursor down"), ("k", "cursor up"), ("\t", "next panel"), ("\t", "next panel")):
        report(line, f"200x60  Runs, {words}", *line.press(key))
    for number, pane in enumerate(PANES, start=1):
        line.press(str(number))
        line.screen.read(2)
        report(line, f"200x60  {pane}, next panel", *line.press("\t"))


def live(screen: Screen, seconds: float) -> None:
    """Bytes of a run that trains, at the pace of a free line."""
    screen.press("4")
    screen.read(2)
    screen.press("S")
    screen.read(60, until=b"samples")
    screen.read(3)
    sizes = [screen.read(1.0) for _ in range(round(seconds))]
    print(f"{'120x40  Train, live run':<34}{sum(sizes) / len(sizes):9,.0f} B/s, most in a second {max(sizes):,}")


def report(line: Line, what: str, count: int, seconds: float, cpu: float) -> None:
    """One line of the table."""
    free = 2 * line.delay + cpu + count * 8 / line.rate
    print(f"{what:<34}{count:9,} B {seconds:7.2f} s {1e3 * cpu:7.0f} ms CPU {free:7.2f} s on a free core", flush=True)


if __name__ == "__main__":
    main()
