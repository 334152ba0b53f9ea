"""The panes as a user sees them: errors appear where the user looks, keys do one thing, nothing moves by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

import pytest
from studio_pilot import FAST, go_to_field, screen_text, studio, until, until_shown
from textual.widgets import ContentSwitcher, Input, OptionList

from torchdeck.tui.messages import ResumeRequested
from torchdeck.tui.panes.data import DataPane
from torchdeck.tui.panes.log import LogPane
from torchdeck.tui.panes.model import ModelPane
from torchdeck.tui.panes.runs import RunsPane
from torchdeck.tui.panes.setup import SetupPane
from torchdeck.tui.panes.train import TrainPane
from torchdeck.tui.process.worker_process import WorkerError, WorkerProcess
from torchdeck.tui.screens.help import HelpScreen, key_groups
from torchdeck.tui.widgets.modules.module_tree import ModuleTree


class BrokenWorker(WorkerProcess):
    """A worker process that fails every call."""

    async def call(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        await asyncio.sleep(0)
        raise WorkerError(f"RuntimeError: {function} broke [bold]here[/bold]")

    async def follow(self, function: str, *arguments: Any, on_progress: Any, **keywords: Any) -> Any:
        return await self.call(function)


@pytest.mark.parametrize(
    ("key", "words"),
    [("1", "look broke"), ("2", "inspect_draft broke"), ("3", "check_start broke")],
)
async def test_an_unexpected_error_in_the_process_beside_is_said_in_the_pane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    monkeypatch.setattr("torchdeck.tui.app.WorkerProcess", BrokenWorker)
    async with studio(tmp_path) as (app, pilot):
        await pilot.press(key)
        await until_shown(pilot, words)
        assert "[bold]here[/bold]" in screen_text(app)
        assert app.is_running


async def test_letters_typed_into_a_field_are_letters(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "f", *"spcxq12?")
        assert app.screen.query_one(Input).value == "spcxq12?"
        assert app.query_one(ContentSwitcher).current == "model"
        assert app.launched is None
        assert len(app.screen_stack) == 2
        await pilot.press("escape", "1")
        assert app.query_one(ContentSwitcher).current == "data"


async def test_escape_leaves_a_field_so_that_keys_are_keys_again(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "name")
        await pilot.press("enter", "x")
        assert isinstance(app.focused, Input)
        await pilot.press("escape", "6")
        assert app.query_one(ContentSwitcher).current == "log"


async def test_f5_starts_the_run_out_of_a_field(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST) as (app, pilot):
        await pilot.press("3")
        await go_to_field(pilot, "name")
        await pilot.press("f5")
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "finished")


async def test_no_key_of_a_pane_or_its_widgets_hides_a_key_of_the_studio(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, _):
        everywhere = set("spcxq?123456")
        for pane in (DataPane, ModelPane, SetupPane, TrainPane, RunsPane, LogPane):
            for title, keys in key_groups("pane", app.query_one(pane)):
                used = {key for shown, _ in keys for key in shown.split()}
                assert not used & everywhere, f"{pane.__name__}, {title}"


async def test_a_question_mark_lists_the_keys_of_the_pane_and_escape_goes_back(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert "find a model" in screen_text(app)
        assert "expand a level" in screen_text(app)
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpScreen)


async def test_pausing_saving_and_stopping_are_offered_only_while_a_run_lives(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.pause(0.2)
        assert "Pause" not in screen_text(app)
        await pilot.press("4", "s")
        await until_shown(pilot, "p Pause")
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "running")
        await pilot.press("x", "y")
        await until_shown(pilot, "● stopped")
        await until(pilot, lambda: "Pause" not in screen_text(app))


async def test_a_run_can_be_stopped_while_it_is_prepared(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000") as (app, pilot):
        await pilot.press("4", "s", "x", "x")
        assert app.launched is not None
        await until(pilot, lambda: not app.launched.is_alive)
        await until(pilot, lambda: app.query_one(TrainPane).run_status != "preparing")


async def test_the_live_run_is_shown_at_the_end_of_the_tabs_in_every_pane(tmp_path: Path) -> None:
    async with studio(tmp_path, "training.epochs=5000", size=(80, 24)) as (app, pilot):
        await pilot.press("4", "s")
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "running")
        for key in "123456":
            await pilot.press(key)
            await until(pilot, lambda: " left" in screen_text(app).splitlines()[0])


async def test_a_file_of_ones_own_is_chosen_by_typing_and_its_errors_show_the_line(tmp_path: Path) -> None:
    net = tmp_path / "net.py"
    net.write_text(
        "import torch\n"
        "from torch.nn import Flatten, Linear, Sequential\n"
        "def make(num_classes):\n    return Sequential(Flatten(), Linear(64, num_classes))\n"
        "def broken():\n    return torch.nn.Lineer(1, 2)\n"
    )
    # Wide enough for the path of the file before the line's number.
    async with studio(tmp_path, size=(160, 30)) as (app, pilot):
        await pilot.press("2", "f", *f"{net}:make", "enter")
        await until_shown(pilot, "Run this code?")
        await pilot.press("y")
        await until_shown(pilot, "650 parameters")
        assert app.focused is app.query_one("ModelPane OptionList")
        await pilot.press("f", *f"{net}:broken", "enter")
        await until_shown(pilot, "Lineer")
        assert "line 6, in broken" in screen_text(app)


async def test_the_cursor_stays_in_the_list_when_a_model_is_chosen(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "down", "enter")
        await until(pilot, lambda: app.draft.model.name == "resnet")
        names = app.query_one("ModelPane OptionList", OptionList)
        await until(pilot, lambda: "Conv2d" in screen_text(app))
        assert app.focused is names
        assert names.highlighted == 2
        assert app.query_one(ModuleTree).current_row is not None


async def test_the_log_pane_switches_between_the_runs_log_and_the_studios(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST) as (app, pilot):
        await pilot.press("4", "s")
        await until(pilot, lambda: app.query_one(TrainPane).run_status == "finished")
        await pilot.press("6")
        await until_shown(pilot, "engine.log")
        await pilot.press("o")
        await until(pilot, lambda: "engine.log" not in screen_text(app))


async def test_why_a_start_was_refused_stays_whole_over_a_resize_and_an_edit_of_the_draft(tmp_path: Path) -> None:
    net = tmp_path / "net.py"
    net.write_text("def make():\n    raise ValueError('\\n'.join(f'reason {n}' for n in range(1, 10)))\n")
    async with studio(tmp_path, f"model.name={net}:make") as (app, pilot):
        await until_shown(pilot, "Run this code?")
        await pilot.press("y", "4", "s")
        await until_shown(pilot, "● not started")
        await pilot.resize_terminal(90, 30)
        app.draft = app.draft.model_copy(update={"seed": 7})
        await pilot.pause(0.2)
        text = screen_text(app)
        assert "reason 1" in text
        assert "reason 9" in text
        assert "Nothing was written. Press 3 to change the settings, s to try again." in text


async def test_a_refused_resume_does_not_offer_the_key_that_starts_the_draft(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST) as (app, pilot):
        await pilot.press("4", "s")
        pane = app.query_one(TrainPane)
        await until(pilot, lambda: pane.run_status == "finished" and not app.launched.is_alive)
        broken = app.watched / "checkpoints" / "broken.pt"
        broken.write_bytes(b"no checkpoint")
        app.post_message(ResumeRequested(app.watched, broken))
        await until_shown(pilot, "● not started")
        await until_shown(pilot, "Press 5 then r to try again")
        assert "s to try again" not in screen_text(app)


async def test_a_run_that_is_shown_again_takes_the_place_of_a_refusal(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST) as (app, pilot):
        pane = app.query_one(TrainPane)
        await pilot.press("4")
        pane.refused("no such thing", "Press 3 to change the settings")
        await until_shown(pilot, "no such thing")
        await pilot.press("4", "s")
        await until(pilot, lambda: pane.run_status == "finished")
        await pilot.resize_terminal(90, 30)
        await until_shown(pilot, "● finished")
        assert "no such thing" not in screen_text(app)


class RepairedWorker(WorkerProcess):
    """A worker process that fails every call until it is repaired."""

    is_repaired = False
    looks: ClassVar[list[str]] = []

    async def call(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        self.looks.append(function)
        if not self.is_repaired:
            raise WorkerError("broke")
        return await super().call(function, *arguments, **keywords)

    async def follow(self, function: str, *arguments: Any, on_progress: Any, **keywords: Any) -> Any:
        self.looks.append(function)
        return await super().follow(function, *arguments, on_progress=on_progress, **keywords)


@pytest.mark.parametrize(
    ("key", "words"), [("1", "1,438 training samples"), ("2", "288,170 parameters"), ("3", "✓ ready to start")]
)
async def test_what_failed_is_tried_again_when_the_pane_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    monkeypatch.setattr("torchdeck.tui.app.WorkerProcess", RepairedWorker)
    async with studio(tmp_path) as (app, pilot):
        await pilot.press(key)
        await until_shown(pilot, "broke")
        monkeypatch.setattr(RepairedWorker, "is_repaired", True)
        app.action_show("log")
        await pilot.pause(0.2)
        app.action_show({"1": "data", "2": "model", "3": "setup"}[key])
        await until_shown(pilot, words)


@pytest.mark.parametrize(
    ("key", "look"),
    [
        ("1", "torchdeck.engine.data.exploration.look:look"),
        ("2", "torchdeck.engine.preflight.inspection:inspect_draft"),
    ],
)
async def test_enter_on_the_current_name_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, look: str
) -> None:
    monkeypatch.setattr("torchdeck.tui.app.WorkerProcess", RepairedWorker)
    monkeypatch.setattr(RepairedWorker, "looks", [])
    async with studio(tmp_path) as (_, pilot):
        await pilot.press(key)
        await until_shown(pilot, "broke")
        before = RepairedWorker.looks.count(look)
        await pilot.press("enter")
        await until(pilot, lambda: RepairedWorker.looks.count(look) == before + 1)
