"""Fixtures for tests under Textual's pilot: keys are handled when `press` returns, and the studio starts quickly.

The worker process is a fork of a process with torch imported (tests/warm_python.py); test_worker_process.py starts it
as the studio does.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
import textual.app
import textual.pilot
from program_terminal import ProgramTerminal, StartProgram
from textual._wait import SLEEP_GRANULARITY
from warm_python import warm_python

from torchdeck.tui.process import worker_process


async def _wait_until_nothing_is_ready(min_sleep: float = SLEEP_GRANULARITY, max_sleep: float = 1) -> None:
    """Wait until every task of the app waits for something that is not in the event loop's hands.

    Textual's own wait takes a process that used no processor time for 20 ms for one that has nothing to do. On a
    busy machine that is also one that was not let onto a core, and a key then counts as dealt with before the app
    has seen it; and one whose background thread trains a model never looks idle.
    """
    ready = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    started = monotonic()
    while True:
        # Long enough for the screen's own timer, which draws what has changed.
        await asyncio.sleep(SLEEP_GRANULARITY)
        elapsed = monotonic() - started
        if elapsed >= max_sleep or (elapsed > min_sleep and not ready):
            return


@pytest.fixture(autouse=True)
def _keys_are_dealt_with(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(textual.pilot, "wait_for_idle", _wait_until_nothing_is_ready)
    monkeypatch.setattr(textual.app, "wait_for_idle", _wait_until_nothing_is_ready)


@pytest.fixture(autouse=True)
def _process_beside_starts_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_process, "python_command", warm_python)


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[StartProgram]:
    """Starts a program in a terminal; all of them are ended with the test."""
    terminals: list[ProgramTerminal] = []

    def start(program: str, *, shell: bool = False) -> ProgramTerminal:
        terminals.append(ProgramTerminal(tmp_path, program, shell=shell))
        return terminals[-1]

    yield start
    for terminal in terminals:
        terminal.close()
