"""The runs pane: what it reads when, and what it shows while it reads, without runs, and when it can't."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from studio_pilot import FAST, screen_text, studio, until, until_shown
from textual.widget import Widget

from torchdeck.engine.config.file import load_config
from torchdeck.engine.errors import RunError
from torchdeck.engine.launching.launch import launch
from torchdeck.engine.runs.browsing.run_catalog import RunCatalog
from torchdeck.engine.runs.on_disk.directory import RunSummary
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.panes.runs.checkpoints import CheckpointTable
from torchdeck.tui.panes.runs.pane import RunsPane
from torchdeck.tui.panes.runs.table import RunTable


def train(root: Path, *overrides: str) -> Path:
    """A finished run."""
    run = launch(load_config("digits", [*FAST, *overrides]), root)
    run.join(120)
    assert run.status == "finished", run.error
    assert run.path is not None
    return run.path


async def test_an_error_while_looking_for_runs_is_said_in_the_pane(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(catalog: RunCatalog, most_parsed: int | None = None) -> None:
        raise RunError("the disk is gone")

    monkeypatch.setattr(RunCatalog, "look", broken)
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        await pilot.press("5")
        await until_shown(pilot, "✗ The runs can't be read")
        assert "the disk is gone" in " ".join(screen_text(app).split())


async def test_without_runs_the_pane_says_which_keys_begin_one_and_they_do(tmp_path: Path) -> None:
    async with studio(tmp_path, *FAST, size=(80, 24)) as (app, pilot):
        await pilot.press("5")
        await until_shown(pilot, "No runs in")
        await until_shown(pilot, "S  starts digits")
        await pilot.press("S", "S")
        await until(pilot, lambda: app.launched is not None)
        await pilot.press("5")
        await until(pilot, lambda: app.query_one(RunTable).count == 1)


async def test_enter_on_a_run_shows_it_and_r_on_a_checkpoint_resumes_from_that_one(tmp_path: Path) -> None:
    run = train(tmp_path / "runs", "training.epochs=4")
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: app.query_one(CheckpointTable).count >= 3)
        await pilot.press("enter")
        await until(pilot, lambda: app.watched == run)
        await pilot.press("5", "tab", "down")
        checkpoints = app.query_one(CheckpointTable)
        assert app.focused is checkpoints
        chosen = checkpoints.look.checkpoints[1].file
        await pilot.press("r")
        reader = RunReader(run)
        await until(pilot, lambda: reader.poll() and any(e["kind"] == "resumed_from" for e in reader.events()))
        event = next(e for e in reader.events() if e["kind"] == "resumed_from")
        assert event["checkpoint"] == chosen


async def test_keys_that_come_fast_act_on_the_runs_that_they_were_pressed_on(tmp_path: Path) -> None:
    for name in ("first", "second", "third"):
        RunWriter.create(tmp_path / "runs", load_config("digits", [f"name={name}"]), {}).close("stopped")
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: app.query_one(RunTable).count == 3)
        for key in ("space", "down", "space"):
            app.simulate_key(key)
        await until_shown(pilot, "2 marked")


async def test_looking_again_neither_moves_the_cursor_nor_draws_when_nothing_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(tmp_path / "runs")
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: app.query_one(CheckpointTable).count == 2)
        await pilot.press("tab", "down")
        pane = app.query_one(RunsPane)
        pane._look_when_seen()
        await app.workers.wait_for_complete()
        await pilot.pause(0.5)
        drawn: list[str] = []

        def refresh(widget: Widget, *regions: object, **options: object) -> Widget:
            drawn.append(repr(widget))
            return widget

        monkeypatch.setattr(Widget, "refresh", refresh)
        pane._look_when_seen()
        await app.workers.wait_for_complete()
        assert drawn == []
        assert app.query_one(CheckpointTable).cursor == 1


async def test_a_look_for_runs_that_takes_long_is_finished_before_the_next_and_says_how_far_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, begun = threading.Event(), []

    def slow(catalog: RunCatalog, most_parsed: int | None = None) -> list[RunSummary]:
        begun.append(catalog.root)
        catalog.progress = (4200, 60000)
        may_end.wait(60)
        return []

    monkeypatch.setattr(RunCatalog, "look", slow)
    async with studio(tmp_path) as (app, pilot):
        try:
            await pilot.press("5")
            await until(pilot, lambda: bool(begun))
            await until_shown(pilot, "reading 4,200 of 60,000")
            for _ in range(3):
                app.query_one(RunsPane)._look_when_seen()
                await pilot.pause(0.05)
            assert len(begun) == 1
        finally:
            may_end.set()
        await until_shown(pilot, "No runs in")
        app.query_one(RunsPane)._look_when_seen()
        await until(pilot, lambda: len(begun) >= 2)


async def test_why_a_run_died_stands_above_its_checkpoints(tmp_path: Path) -> None:
    run = train(tmp_path / "runs")
    state = run / "state.json"
    state.write_text(state.read_text().replace('"finished"', '"running"'))
    async with studio(tmp_path, size=(200, 60)) as (app, pilot):
        await pilot.press("5")
        await until_shown(pilot, "✗ died")
        await until_shown(pilot, "its process ended without a message")
        assert "r resumes it" in screen_text(app)
