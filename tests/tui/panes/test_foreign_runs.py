"""Runs of other trainers in the studio: listed, marked and watched like torchdeck's own, never changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from studio_pilot import offered, paste, screen_text, studio, told, until, until_shown

from torchdeck.tui.panes.runs.pane import RunsPane
from torchdeck.tui.panes.runs.table import RunTable

FIXTURES = Path(__file__).parents[2] / "engine" / "foreign" / "fixtures"


@pytest.fixture
def experiments(tmp_path: Path) -> Path:
    folder = tmp_path / "experiments"
    for name in ("lightning", "tensorboard"):
        shutil.copytree(FIXTURES / name, folder / name)
    return folder


async def test_a_folder_of_other_trainers_is_opened_marked_and_watched(experiments: Path, tmp_path: Path) -> None:
    async with studio(tmp_path, size=(140, 40)) as (app, pilot):
        await pilot.press("5", "o")
        await paste(pilot, str(experiments))
        await pilot.press("enter")
        await until(pilot, lambda: app.query_one(RunTable).count == 2)
        await until_shown(pilot, "Lightning")
        table, pane = app.query_one(RunTable), app.query_one(RunsPane)
        table.focus()
        await pilot.press("space", "down", "space")
        await until(pilot, lambda: len(pane._side.look.curves) == 2)
        assert all(len(curve.x) == 3 for curve in pane._side.look.curves)
        await pilot.press("e")
        await until(pilot, lambda: "whose files are only read" in told(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.watched is not None)
        await until_shown(pilot, "Val. accuracy")
        await until_shown(pilot, "70.00")
        assert not {"Pause", "Stop", "Edit live"} & offered(app)
        await pilot.press("X")
        await until(pilot, lambda: "reads no commands" in told(app) or "quiet" in screen_text(app))
