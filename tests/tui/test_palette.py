"""The command palette finds everything by name."""

from __future__ import annotations

from pathlib import Path

from studio_pilot import SMALL, screen_text, studio, until, until_shown
from textual.command import CommandList
from textual.pilot import Pilot

from torchdeck.engine.config.file import load_config
from torchdeck.engine.launching.launch import launch


async def choose(pilot: Pilot[None], text: str) -> None:
    """Type into the palette and take the first hit, once it is listed."""
    await pilot.press("colon", *text)

    def is_listed() -> bool:
        options = pilot.app.screen.query(CommandList).first().options if pilot.app.screen.query(CommandList) else []
        return bool(options) and text in str(options[0].prompt)

    await until(pilot, is_listed)
    await pilot.press("enter")
    await pilot.pause()


async def test_commands_panes_settings_and_themes_are_found(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL) as (app, pilot):
        await pilot.press("6", "colon")
        await until_shown(pilot, "Start the draft")
        assert "Choose the theme" in screen_text(app)
        await pilot.press("escape")
        await choose(pilot, "gruvbox")
        await until(pilot, lambda: app.theme == "gruvbox")
        await choose(pilot, "optimizer.lr")
        await until(pilot, lambda: str(app.pane.id) == "setup")


async def test_data_sets_models_and_presets_are_put_into_the_draft(tmp_path: Path) -> None:
    async with studio(tmp_path, *SMALL) as (app, pilot):
        await pilot.press("6")
        await choose(pilot, "resnet18")
        await until(pilot, lambda: app.draft.model.name == "resnet18")
        await until(pilot, lambda: str(app.pane.id) == "model")
        await choose(pilot, "FashionMNIST")
        await until(pilot, lambda: app.draft.data.dataset == "FashionMNIST")
        await pilot.press("u")
        await until(pilot, lambda: app.draft.data.dataset == "digits")


async def test_runs_are_found_by_name(tmp_path: Path) -> None:
    run = launch(load_config("digits", [*SMALL, "name=findme"]), tmp_path / "runs")
    run.join(60)
    async with studio(tmp_path, *SMALL) as (app, pilot):
        await pilot.press("6")
        await choose(pilot, "findme")
        await until(pilot, lambda: app.watched == run.path)
