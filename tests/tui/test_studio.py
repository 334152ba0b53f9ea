"""The studio as users see it: keys are pressed, the screen is read, real runs are trained."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from studio_pilot import FAST, offered, screen_text, studio, until, until_shown
from textual.widgets import ContentSwitcher
from warm_python import warm_python

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import RunError
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.app import Studio
from torchdeck.tui.panes.train.charts import RunCharts
from torchdeck.tui.screens.leave import LeaveScreen
from torchdeck.tui.screens.stop import StopScreen
from torchdeck.tui.verbs.attach import newest_live_run


def first_line(app: Studio) -> str:
    return screen_text(app).splitlines()[0]


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_run_is_started_watched_and_finishes(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path, *FAST, size=size) as (app, pilot):
        await pilot.press("4", "S")
        await until(pilot, lambda: app.watched_run.status == "finished")
        assert app.query_one(ContentSwitcher).current == "train"
        await until_shown(pilot, "epoch 2 of 2")
        assert "100%" in screen_text(app)
        assert "✓" in first_line(app)
        charts = app.query_one(RunCharts)
        curves = dict(zip(charts.names, charts.charts, strict=True))
        for name in ("loss", "score"):
            series = curves[name]._series
            assert {split: len(line.y) for split, line in series.items()} == {"train": 24, "val.": 2}


async def test_pause_continue_save_and_stop(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "S")
        await until(pilot, lambda: app.watched_run.status == "running" and app.watched is not None)
        reader = RunReader(app.watched)
        await until(pilot, lambda: reader.poll() and reader.progress().step > 10)
        await pilot.press("P")
        await until(pilot, lambda: "paused" in first_line(app) and "Continue" in offered(app))
        await pilot.press("P")
        await until(pilot, lambda: "paused" not in first_line(app) and "Pause" in offered(app))
        await pilot.press("C")
        await until(pilot, lambda: reader.poll() and any(e.get("reason") == "asked" for e in reader.events()))
        await pilot.press("X")
        await until(pilot, lambda: isinstance(app.screen, StopScreen))
        await until_shown(pilot, f"Stop {app.watched.name}?")
        await pilot.press("escape")
        assert app.launched is not None and app.launched.is_alive
        await pilot.press("X", "s")
        await until(pilot, lambda: "stopped" in first_line(app))
        assert reader.status() == "stopped"


async def test_a_stopped_run_is_resumed_from_the_runs_pane_exactly(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=8", "loader.batch_size=128") as (app, pilot):
        await pilot.press("4", "S")
        await until(pilot, lambda: app.watched is not None)
        reader = RunReader(app.watched)
        await until(pilot, lambda: reader.poll() and reader.progress().epoch >= 2)
        await pilot.press("X", "s")
        await until(pilot, lambda: app.watched_run.status == "stopped")
        await pilot.press("5")
        await until(pilot, lambda: "stopped" in "\n".join(screen_text(app).splitlines()[1:]))
        await pilot.press("r")
        await until(pilot, lambda: reader.poll() and any(e["kind"] == "resumed_from" for e in reader.events()))
        event = next(e for e in reader.events() if e["kind"] == "resumed_from")
        assert event["exact"] is True
        await until(pilot, lambda: app.watched_run.status == "finished")


async def test_a_config_that_can_not_be_trained_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    async with studio(tmp_path, "optimizer.momentun=0.9") as (_, pilot):
        await pilot.press("4", "S")
        await until_shown(pilot, "unknown argument 'momentun'")
        assert not (tmp_path / "runs").exists()


async def test_an_exception_in_the_engine_shows_in_the_studio_and_does_not_end_it(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Linear):\n"
        "    calls = 0\n"
        "    def forward(self, x):\n"
        "        self.calls += 1\n"
        # Later than the inspections of the model before a run starts.
        "        if self.calls > 20:\n"
        "            raise RuntimeError('the filament broke')\n"
        "        return super().forward(x.flatten(1))\n"
        "def make():\n"
        "    return Net(64, 10)\n",
        encoding="utf-8",
    )
    async with studio(tmp_path, f"model.name={tmp_path}/net.py:make") as (app, pilot):
        await until_shown(pilot, "Run this code?")
        await pilot.press("y", "4", "S")
        await until(pilot, lambda: app.watched_run.status == "failed")
        await until_shown(pilot, "the filament broke")
        await pilot.press("1")
        assert app.query_one(ContentSwitcher).current == "data"
        assert "✗" in first_line(app)


async def test_leaving_during_a_run_asks_once_and_staying_keeps_it(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "S")
        await until(pilot, lambda: app.watched_run.status == "running")
        for keys, more in ((["q"], []), (["ctrl+q", "ctrl+q"], ["ctrl+q"])):
            await pilot.press(*keys)
            await until(pilot, lambda: isinstance(app.screen, LeaveScreen))
            await pilot.press(*more, "escape")
            await until(pilot, lambda: len(app.screen_stack) == 1)
            await pilot.pause(0.2)
            assert app.is_running and len(app.screen_stack) == 1
            assert app.launched is not None and app.launched.is_alive


async def test_leaving_with_save_and_stop_ends_the_run_saved(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "S")
        await until(pilot, lambda: app.watched_run.status == "running")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, LeaveScreen))
        await pilot.press("s")
        await until(pilot, lambda: app.launched is not None and not app.launched.is_alive)
    reader = RunReader(app.launched.path)
    assert reader.status() == "stopped"
    assert reader.checkpoints()


async def test_a_run_of_another_process_is_watched_and_controlled(tmp_path: Path) -> None:
    settings = ["--set", "training.epochs=5000", "--runs", str(tmp_path)]
    command = [*warm_python(), "-m", "torchdeck", "train", "digits", *settings]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (found := [run for run in list_runs(tmp_path) if run.status == "running"]):
            assert process.poll() is None
            await asyncio.sleep(0.1)
        app = Studio(load_config("digits"), tmp_path, watch=found[0].path)
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "Pause" in offered(app))
            await pilot.press("P")
            await until(pilot, lambda: "paused" in first_line(app))
            await pilot.press("X", "s")
            await until(pilot, lambda: "stopped" in first_line(app))
        assert process.wait(timeout=60) == 0
    finally:
        process.kill()


def test_attach_without_a_live_run_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no live run"):
        newest_live_run(tmp_path)


def test_attach_leaves_the_live_runs_of_other_users_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunWriter.create(tmp_path, load_config("digits", ["name=mine"]), {})
    try:
        assert newest_live_run(tmp_path) == run.path
        monkeypatch.setattr(os, "getuid", lambda: run.path.stat().st_uid + 1)
        with pytest.raises(RunError, match="belong to other users"):
            newest_live_run(tmp_path)
    finally:
        run.close("stopped")
