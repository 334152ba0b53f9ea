"""The command palette finds everything by name."""

from __future__ import annotations

from pathlib import Path

from studio_pilot import SMALL, choose_in_palette, screen_text, studio, until, until_shown
from textual.command import CommandInput, CommandList
from textual.widgets import LoadingIndicator

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.writer import RunWriter


async def test_commands_panes_settings_and_themes_are_found(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL) as (app, pilot):
        await pilot.press("7", "colon")
        await until_shown(pilot, "Start the draft")
        assert "Choose the theme" in screen_text(app)
        await pilot.press("escape")
        await choose_in_palette(pilot, "gruvbox")
        await until(pilot, lambda: app.theme == "gruvbox")
        await choose_in_palette(pilot, "optimizer.lr")
        await until(pilot, lambda: str(app.pane.id) == "setup")


async def test_data_sets_models_and_presets_are_put_into_the_draft(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL) as (app, pilot):
        await pilot.press("7")
        await choose_in_palette(pilot, "resnet18")
        await until(pilot, lambda: app.draft.model.name == "resnet18")
        await until(pilot, lambda: str(app.pane.id) == "model")
        await choose_in_palette(pilot, "FashionMNIST")
        await until(pilot, lambda: app.draft.data.dataset == "FashionMNIST")
        await pilot.press("u")
        await until(pilot, lambda: app.draft.data.dataset == "digits")


async def test_runs_are_found_by_name(tmp_path: Path) -> None:
    run = RunWriter.create(tmp_path / "runs", load_config("digits", ["name=findme"]), {})
    run.close("stopped")
    async with studio(tmp_path, *SMALL) as (app, pilot):
        await pilot.press("7")
        await choose_in_palette(pilot, "findme")
        await until(pilot, lambda: app.watched == run.path)


async def test_what_there_is_nothing_to_do_for_comes_last_and_every_entry_has_one_line(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL, size=(80, 24)) as (app, pilot):
        await pilot.press("6", "colon")
        await until_shown(pilot, "Start the draft")
        commands = app.screen.query_one(CommandList)
        titles = [str(option.prompt) for option in commands.options]
        assert titles[0].startswith("Start the draft")
        assert max(at for at, title in enumerate(titles) if title.startswith("Stop the run")) > 10
        assert commands.virtual_size.height == len(titles)
        assert screen_text(app).splitlines()[22].strip("│ ") == ""


async def test_an_open_palette_that_waits_does_nothing(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL) as (app, pilot):
        await pilot.press("7", "colon")
        await until_shown(pilot, "Start the draft")
        await until(pilot, lambda: app.screen.query_one(LoadingIndicator).auto_refresh is None)
        assert not app.screen.query_one(CommandInput).cursor_blink
