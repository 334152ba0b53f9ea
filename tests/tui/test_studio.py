"""The studio as users see it: keys are pressed, the screen is read, real runs are trained."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from studio_pilot import FAST, screen_text, set_field, studio, until, until_shown
from textual.widgets import ContentSwitcher
from warm_python import warm_python

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import RunError
from torchdeck.engine.runs.on_disk.directory import list_runs
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.app import Studio
from torchdeck.tui.panes.train import TrainPane
from torchdeck.tui.screens.leave import LeaveScreen
from torchdeck.tui.verbs.attach import newest_live_run
from torchdeck.tui.widgets.charts.chart import Chart


async def test_the_number_keys_switch_between_the_panes(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        for number, pane in enumerate(["data", "model", "setup", "train", "runs", "log"], start=1):
            await pilot.press(str(number))
            assert app.query_one(ContentSwitcher).current == pane


async def test_the_data_pane_shows_the_chosen_data_set(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await until_shown(pilot, "1,438 training samples")
        assert "RandomCrop" in screen_text(app)
        assert "Handwritten digits of 8×8 pixels" in screen_text(app)


async def test_choosing_a_data_set_takes_over_the_transforms_of_its_preset(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        names = app.query_one("#names")
        names.focus()
        names.highlighted = next(i for i, option in enumerate(names.options) if option.id == "CIFAR10")
        await pilot.press("enter")
        await until(pilot, lambda: app.draft.data.dataset == "CIFAR10")
        assert [step.name for step in app.draft.data.train_transforms] == [
            "RandomHorizontalFlip",
            "RandomCrop",
            "Normalize",
        ]
        await until_shown(pilot, "download")


async def test_a_transform_is_removed_with_a_key(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("t", "d")
        await until(pilot, lambda: [step.name for step in app.draft.data.train_transforms] == ["Normalize"])


async def test_the_model_pane_shows_the_tree_with_its_counts(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2")
        await until_shown(pilot, "288,170 parameters")
        assert "Linear" in screen_text(app)


async def test_another_model_is_found_by_typing(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "f", *"mlp", "enter")
        await until(pilot, lambda: app.draft.model.name == "mlp")
        await until_shown(pilot, "Flatten")


async def test_a_setting_is_changed_in_the_form_and_stands_in_the_command(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(140, 60)) as (app, pilot):
        await pilot.press("3")
        await set_field(pilot, "training.epochs", "7")
        await until_shown(pilot, "--set training.epochs=7")
        assert app.draft.training.epochs == 7


async def test_a_value_that_is_not_allowed_is_said_and_not_taken(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(140, 60)) as (app, pilot):
        await pilot.press("3")
        await set_field(pilot, "training.epochs", "0")
        await until_shown(pilot, "▲ training.epochs = 0: must be at least")
        assert app.draft.training.epochs == 15


@pytest.mark.parametrize("size", [(80, 24), (200, 60)])
async def test_a_run_is_started_watched_and_finishes(tmp_path: Path, size: tuple[int, int]) -> None:
    async with studio(tmp_path, *FAST, size=size) as (app, pilot):
        await pilot.press("4", "s")
        assert app.query_one(ContentSwitcher).current == "train"
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "finished")
        text = screen_text(app)
        assert "epoch 2/2" in text
        assert "100%" in text
        for name in ("loss", "accuracy"):
            series = app.query_one(f"#{name}", Chart)._series
            assert {split: len(line.y) for split, line in series.items()} == {"train": 24, "val.": 2}


async def test_pause_resume_save_and_stop(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "s")
        pane = app.query_one(TrainPane)
        await until(pilot, lambda: pane.run_status == "running" and app.watched is not None)
        reader = RunReader(app.watched)
        await until(pilot, lambda: reader.poll() and reader.progress().step > 10)
        await pilot.press("p")
        await until_shown(pilot, "● paused")
        await until_shown(pilot, "p Resume")
        await pilot.press("p")
        await until_shown(pilot, "● running")
        await pilot.press("c")
        await until(pilot, lambda: reader.poll() and any(e.get("reason") == "asked" for e in reader.events()))
        await pilot.press("x", "y")
        await until_shown(pilot, "● stopped")
        assert reader.status() == "stopped"


async def test_a_stopped_run_is_resumed_from_the_runs_pane_exactly(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=12") as (app, pilot):
        await pilot.press("4", "s")
        await until(pilot, lambda: app.watched is not None)
        reader = RunReader(app.watched)
        await until(pilot, lambda: reader.poll() and reader.progress().epoch >= 2)
        await pilot.press("x", "y")
        await until_shown(pilot, "● stopped")
        await pilot.press("5")
        await until_shown(pilot, "stopped")
        await pilot.press("r")
        await until(pilot, lambda: reader.poll() and any(e["kind"] == "resumed_from" for e in reader.events()))
        event = next(e for e in reader.events() if e["kind"] == "resumed_from")
        assert event["exact"] is True
        await until_shown(pilot, "● finished")


async def test_a_config_that_can_not_be_trained_is_said_and_nothing_is_written(tmp_path: Path) -> None:
    async with studio(tmp_path, "optimizer.momentun=0.9") as (_, pilot):
        await pilot.press("4", "s")
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
        await pilot.press("y")
        await until_shown(pilot, "1,438 training samples")
        await pilot.press("4", "s")
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "failed")
        await until_shown(pilot, "the filament broke")
        assert app.query_one(TrainPane).run_status == "failed"
        await pilot.press("1")
        assert app.query_one(ContentSwitcher).current == "data"


async def test_leaving_during_a_run_asks_and_staying_keeps_it(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "s")
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "running")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, LeaveScreen))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LeaveScreen))
        assert app.launched is not None
        assert app.launched.is_alive


async def test_asking_to_leave_twice_asks_once_and_staying_keeps_the_run(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "s")
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "running")
        await pilot.press("ctrl+q", "ctrl+q")
        await until(pilot, lambda: isinstance(app.screen, LeaveScreen))
        await pilot.press("ctrl+q", "escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        await pilot.pause(0.2)
        assert app.is_running
        assert app.launched is not None
        assert app.launched.is_alive


async def test_leaving_with_save_and_stop_ends_the_run_saved(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "s")
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "running")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, LeaveScreen))
        await pilot.press("s")
        await until(pilot, lambda: app.launched is not None and not app.launched.is_alive)
    reader = RunReader(app.launched.path)
    assert reader.status() == "stopped"
    assert reader.checkpoints()


async def test_a_run_of_another_process_is_watched_and_controlled(tmp_path: Path) -> None:
    command = [
        *warm_python(),
        "-m",
        "torchdeck",
        "train",
        "digits",
        "--set",
        "training.epochs=5000",
        "--runs",
        str(tmp_path),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not (found := [run for run in list_runs(tmp_path) if run.status == "running"]):
            assert process.poll() is None
            await asyncio.sleep(0.1)
        app = Studio(load_config("digits"), tmp_path, watch=found[0].path)
        async with app.run_test(size=(120, 40)) as pilot:
            await until_shown(pilot, "● running")
            await pilot.press("p")
            await until_shown(pilot, "● paused")
            await pilot.press("x", "y")
            await until_shown(pilot, "● stopped")
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
