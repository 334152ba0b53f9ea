"""The form that changes a live run, and the keys that stop it after the epoch."""

from pathlib import Path

import pytest
from studio_pilot import studio, until, until_shown
from textual.widgets import Input

from torchdeck.engine.runs.reader import RunReader
from torchdeck.tui.screens.live_settings import LiveSetting, LiveSettingsScreen
from torchdeck.tui.stage import Stage

LONG = ("training.epochs=5000", "loader.batch_size=128", "model.name=mlp")


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("0.1", None),
        ("0.05", {"cmd": "set", "key": "optimizer.lr", "value": 0.05}),
        ("1e-3", {"cmd": "set", "key": "optimizer.lr", "value": 1e-3}),
        ("0", "optimizer.lr = 0.0: must be a number above 0"),
        ("fast", "optimizer.lr = 'fast': must be a number above 0"),
        ("nan", "optimizer.lr = nan: must be a number above 0"),
    ],
)
def test_a_typed_value_is_a_command_or_says_what_is_wrong(text: str, command: object) -> None:
    assert LiveSetting("optimizer.lr", "learning rate", 0.1).command(text) == command


def test_epochs_are_whole_and_a_clip_norm_may_be_zero() -> None:
    assert LiveSetting("training.epochs", "epochs", 3, is_whole=True).command("2.5") == (
        "training.epochs = 2.5: must be a whole number"
    )
    setting = LiveSetting("training.clip_norm", "clip norm", 1.0)
    assert setting.command("0") == {"cmd": "set", "key": "training.clip_norm", "value": 0.0}


async def test_keys_change_a_live_run_and_stop_it_after_its_epoch(tmp_path: Path) -> None:
    async with studio(tmp_path, *LONG, size=(80, 24)) as (app, pilot):
        await pilot.press("E")
        assert "No run to act on" in {each.title for each in app.told}
        await pilot.press("4", "S")
        await until(pilot, lambda: app.watched_run.status == "running" and app.watched is not None)
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, LiveSettingsScreen) and isinstance(app.focused, Input))
        await until_shown(pilot, "Edit the live run")
        await pilot.press(*"-1", "enter")
        await until_shown(pilot, "must be a number above 0")
        assert isinstance(app.screen, LiveSettingsScreen)
        app.screen.query(Input)[0].value = "0.001"
        app.screen.query(Input)[1].value = "4000"
        await pilot.press("enter")
        reader = RunReader(app.watched)
        await until(pilot, lambda: reader.poll() and len([e for e in reader.events() if e["kind"] == "set"]) == 2)
        await until_shown(pilot, "of 4000")
        await pilot.press("X")
        await until_shown(pilot, "After the epoch")
        await pilot.press("e")
        await until(pilot, lambda: app.watched_run.status == "stopped")
        reader.poll()
        assert reader.state()["step"] % reader.progress().steps_per_epoch == 0


async def test_escape_changes_nothing_and_the_arrows_go_from_field_to_field() -> None:
    settings = [LiveSetting("optimizer.lr", "learning rate", 0.1), LiveSetting("training.epochs", "epochs", 3)]
    answers: list[object] = []
    app = Stage()
    async with app.run_test(size=(80, 24)) as pilot:
        app.push_screen(LiveSettingsScreen(settings), answers.append)
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press("end", "5", "down", "end", "0")
        assert [field.value for field in app.screen.query(Input)] == ["0.15", "30"]
        await pilot.press("up", "end", "backspace", "escape")
        await pilot.pause()
        assert answers == [[]]
