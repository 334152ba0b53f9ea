"""The command palette finds everything by name."""

from __future__ import annotations

from pathlib import Path

from studio_pilot import SMALL, choose_in_palette, screen_text, studio, until, until_shown

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
