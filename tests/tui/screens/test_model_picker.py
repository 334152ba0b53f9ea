"""Choosing a model by part of its name."""

from pathlib import Path

from asking import Asking
from studio_pilot import screen_text, studio, until
from textual.widgets import Input

from torchdeck.tui.screens.model_picker import ModelPicker


async def test_typing_filters_and_enter_takes_the_model(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "shift+tab", "slash")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        await pilot.press(*"resnet18")
        await until(pilot, lambda: "11.7M" in screen_text(app))
        shown = screen_text(app)
        assert "69.8%" in shown and "3.63" in shown
        assert "alexnet" not in shown
        await pilot.press("enter")
        await until(pilot, lambda: app.draft.model.name == "resnet18")


async def test_the_largest_come_first_when_ordered_by_a_column(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "shift+tab", "slash")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        await pilot.press(*"vgg", "ctrl+o", "ctrl+o", "ctrl+o")
        await until(pilot, lambda: "↓ top-1" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.draft.model.name == "vgg19_bn")


async def test_a_users_file_lists_what_it_defines_without_running_it(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    ran = tmp_path / "ran"
    file.write_text(f"open({str(ran)!r}, 'w')\n\ndef small(): ...\n\ndef large(): ...\n", encoding="utf-8")
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "shift+tab", "slash")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        app.screen.query_one(Input).value = f"{file}:l"
        await until(pilot, lambda: "2 functions and classes in mine.py" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ModelPicker))
        assert app.draft.model.name == "cnn"
    assert not ran.exists()


async def test_a_name_that_nobody_knows_is_handed_on_and_explained(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "shift+tab", "slash")
        await until(pilot, lambda: isinstance(app.screen, ModelPicker))
        await pilot.press(*"qqq", "enter")
        await until(pilot, lambda: "not a built-in model" in screen_text(app))


async def test_the_first_names_are_in_sight_above_the_draft_s_model() -> None:
    async with Asking(ModelPicker("cnn")).run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "built-in" in screen_text(pilot.app))
        assert "mlp" in screen_text(pilot.app)
