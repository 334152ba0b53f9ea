"""Two studios attached to one run that neither of them trains."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from studio_pilot import until, until_shown
from textual.pilot import Pilot

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import LaunchedRun, launch
from torchdeck.engine.runs.reader import RunReader
from torchdeck.tui.app import Studio


@pytest.fixture
def run(tmp_path: Path) -> Iterator[LaunchedRun]:
    run = launch(load_config("digits", ["training.epochs=100000", "training.device=cpu"]), tmp_path)
    assert run.wait_for_directory(60) is not None
    # It waits, so that it does not take CPU time from the studios that watch it.
    run.control.submit({"cmd": "pause"})
    yield run
    run.stop()
    run.join(60)


@asynccontextmanager
async def attached(run: Path) -> AsyncIterator[Pilot[None]]:
    app = Studio(load_config(str(run)), run.parent, spec=str(run / "run.toml"), watch=run)
    async with app.run_test(size=(100, 30)) as pilot:
        await until_shown(pilot, "paused")
        yield pilot


async def test_two_panels_show_and_control_one_run_and_one_goes_on_when_the_other_leaves(run: LaunchedRun) -> None:
    assert run.path is not None
    async with attached(run.path) as first:
        async with attached(run.path) as second:
            await first.press("P")
            await until_shown(first, "running")
            await until_shown(second, "running")
            await second.press("P")
            await until_shown(first, "paused")
            await until_shown(second, "paused")
            await second.press("q")
            await until(second, lambda: not second.app.is_running)
        assert run.is_alive
        await first.press("P")
        reader = RunReader(run.path)
        await until(first, lambda: reader.status() == "running")
        await until_shown(first, "running")
