"""The panes as a user sees them: errors appear where the user looks, keys do one thing, nothing moves by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest
from studio_pilot import FAST, go_to_field, offered, paste, screen_text, studio, until, until_shown
from textual.widgets import ContentSwitcher, Input

from torchdeck.tui.messages import ResumeRequested
from torchdeck.tui.process.worker_process import WorkerError, WorkerProcess

OF_A_RUN = {"Pause", "Checkpoint", "Edit live", "Stop"}


class BrokenWorker(WorkerProcess):
    """A worker process that fails every call."""

    async def call(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        await asyncio.sleep(0)
        raise WorkerError(f"RuntimeError: {function.rpartition(':')[2]} broke [bold]here[/bold]")

    async def follow(self, function: str, *arguments: Any, on_progress: Any, **keywords: Any) -> Any:
        return await self.call(function)


@pytest.mark.parametrize("key", ["1", "2", "3"])
async def test_an_unexpected_error_in_the_process_beside_is_said_in_the_pane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setattr("torchdeck.tui.app.WorkerProcess", BrokenWorker)
    async with studio(tmp_path) as (app, pilot):
        await pilot.press(key)
        words = {"1": "look broke", "2": "inspect_draft broke", "3": "check_start broke"}[key]
        await until(pilot, lambda: words in " ".join(screen_text(app).split()))
        await until_shown(pilot, "[bold]here[/bold]")
        assert app.is_running


async def test_letters_and_digits_are_keys_until_enter_and_then_text(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "name")
        await pilot.press("enter", *"SPCXq12?")
        assert isinstance(app.focused, Input) and app.focused.value.endswith("SPCXq12?")
        assert app.query_one(ContentSwitcher).current == "setup"
        assert app.launched is None and len(app.screen_stack) == 1
        await pilot.press("escape", "7")
        assert app.query_one(ContentSwitcher).current == "log"
        assert app.draft.name == "digits"


async def test_f5_starts_the_run_out_of_a_field(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "name")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("f5")
        await until(pilot, lambda: app.watched_run.status == "finished")


async def test_what_drives_a_run_is_offered_only_while_it_lives_and_its_state_is_on_every_pane(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000", size=(80, 24)) as (app, pilot):
        await pilot.press("4")
        assert not offered(app) & OF_A_RUN and "Start" in offered(app)
        await pilot.press("S")
        await until(pilot, lambda: app.watched_run.status == "running")
        await until(pilot, lambda: offered(app) >= OF_A_RUN and "Start" not in offered(app))
        for key in "123456":
            await pilot.press(key)
            await until(pilot, lambda: "● 0%" in screen_text(app).splitlines()[0])
        await pilot.press("X", "s")
        await until(pilot, lambda: app.watched_run.status == "stopped")
        await until(pilot, lambda: not offered(app) & OF_A_RUN)
        await until(pilot, lambda: "■" in screen_text(app).splitlines()[0])


async def test_a_run_can_be_stopped_while_it_is_prepared(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "S", "X")
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("X")
        assert app.launched is not None
        await until(pilot, lambda: not app.launched.is_alive)
        await until(pilot, lambda: app.watched_run.status != "preparing")


async def test_a_file_of_ones_own_is_opened_by_its_path_and_its_errors_show_the_line(tmp_path: Path) -> None:
    net = tmp_path / "net.py"
    net.write_text(
        "import torch\n"
        "from torch.nn import Flatten, Linear, Sequential\n"
        "def make(num_classes):\n    return Sequential(Flatten(), Linear(64, num_classes))\n"
        "def broken():\n    return torch.nn.Lineer(1, 2)\n"
    )
    # Wide enough for the path of the file before the line's number.
    async with studio(tmp_path, size=(160, 40)) as (app, pilot):
        await pilot.press("2", "o")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await paste(pilot, f"{net}:make")
        await pilot.press("enter")
        await until_shown(pilot, "Run this code?")
        await pilot.press("y")
        await until_shown(pilot, "650 parameters")
        await pilot.press("o")
        await until(pilot, lambda: isinstance(app.focused, Input))
        app.focused.value = f"{net}:broken"  # type: ignore[union-attr]
        await pilot.press("enter")
        await until_shown(pilot, "Lineer")
        assert "line 6, in broken" in screen_text(app)


async def test_a_refused_resume_does_not_offer_the_key_that_starts_the_draft(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST) as (app, pilot):
        await pilot.press("4", "S")
        await until(pilot, lambda: app.watched_run.status == "finished" and not app.launched.is_alive)
        broken = app.watched / "checkpoints" / "broken.pt"
        broken.write_bytes(b"no checkpoint")
        app.post_message(ResumeRequested(app.watched, broken))
        await until_shown(pilot, "not started")
        await until_shown(pilot, "Press 5 then r to try again")
        assert "S to try again" not in screen_text(app)


class RepairedWorker(WorkerProcess):
    """A worker process that fails every call until it is repaired."""

    is_repaired = False
    looks: ClassVar[list[str]] = []

    async def call(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        self.looks.append(function)
        if not self.is_repaired:
            raise WorkerError("it broke")
        return await super().call(function, *arguments, **keywords)

    async def follow(self, function: str, *arguments: Any, on_progress: Any, **keywords: Any) -> Any:
        self.looks.append(function)
        if not self.is_repaired:
            raise WorkerError("it broke")
        return await super().follow(function, *arguments, on_progress=on_progress, **keywords)


@pytest.mark.parametrize(
    ("key", "words"), [("1", "1,438 train"), ("2", "288,170 parameters"), ("3", "✓ ready to start")]
)
async def test_what_failed_is_tried_again_when_the_pane_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    monkeypatch.setattr("torchdeck.tui.app.WorkerProcess", RepairedWorker)
    async with studio(tmp_path) as (_, pilot):
        await pilot.press(key)
        await until_shown(pilot, "it broke")
        monkeypatch.setattr(RepairedWorker, "is_repaired", True)
        await pilot.press("7")
        await pilot.pause(0.2)
        await pilot.press(key)
        await until_shown(pilot, words)


@pytest.mark.parametrize(
    ("key", "focus", "look"),
    [
        ("1", "#catalog", "torchdeck.engine.data.exploration.look:look"),
        ("2", "#models", "torchdeck.engine.preflight.inspection:inspect_draft"),
    ],
)
async def test_enter_on_the_current_name_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, focus: str, look: str
) -> None:
    monkeypatch.setattr("torchdeck.tui.app.WorkerProcess", RepairedWorker)
    monkeypatch.setattr(RepairedWorker, "looks", [])
    async with studio(tmp_path) as (app, pilot):
        await pilot.press(key)
        await until_shown(pilot, "it broke")
        app.query_one(focus).focus()
        before = RepairedWorker.looks.count(look)
        await pilot.press("enter")
        await until(pilot, lambda: RepairedWorker.looks.count(look) == before + 1)
