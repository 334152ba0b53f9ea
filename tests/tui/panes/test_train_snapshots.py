"""What the train pane looks like with a run of fixed records and a frozen clock.

Accept a wanted change with `pytest --snapshot-update`.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from studio_pilot import screen_text, until
from textual.pilot import Pilot
from written_runs import NOW, written_run

from torchdeck.engine.config.file import load_config
from torchdeck.tui.app import Studio
from torchdeck.tui.messages import WatchRequested
from torchdeck.tui.widgets.charts.chart import Chart

SIZES = [(80, 24), (120, 40), (200, 60)]


@pytest.fixture(autouse=True)
def _same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(time, "time", lambda: NOW)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)


def run_of(status: str) -> Path:
    run = written_run(Path("runs"), status)
    # The second part of the name is the time and the third is random.
    return run.rename(run.with_name("curves-20231114-221320-abcd"))


def app_in(theme: str) -> Studio:
    app = Studio(load_config("digits"), Path("runs"), spec="digits")
    app.theme = theme
    return app


def watching(run: Path, words: str) -> object:
    async def prepare(pilot: Pilot[None]) -> None:
        pilot.app.post_message(WatchRequested(run))
        await until(pilot, lambda: words in screen_text(pilot.app))
        charts = pilot.app.query(Chart)
        await until(pilot, lambda: all(chart._series for chart in charts if chart.is_on_screen))
        await until(pilot, lambda: isinstance(pilot.app.focused, Chart))
        await pilot.pause(0.5)

    return prepare


@pytest.mark.parametrize("theme", ["torchdeck", "torchdeck-light"])
@pytest.mark.parametrize("size", SIZES)
def test_a_run(snap_compare, size: tuple[int, int], theme: str) -> None:
    run = run_of("finished")
    assert snap_compare(app_in(theme), terminal_size=size, run_before=watching(run, "■ compute 90%"))


def test_a_run_in_sixteen_colors(snap_compare) -> None:
    run = run_of("finished")
    assert snap_compare(app_in("ansi-dark"), terminal_size=(80, 24), run_before=watching(run, "■ compute 90%"))


def test_a_failed_run(snap_compare) -> None:
    run = run_of("failed")
    assert snap_compare(app_in("torchdeck"), terminal_size=(80, 24), run_before=watching(run, "ValueError: first"))


def test_without_a_run(snap_compare) -> None:
    async def prepare(pilot: Pilot[None]) -> None:
        await pilot.press("4")
        await until(pilot, lambda: "No run is shown" in screen_text(pilot.app))

    assert snap_compare(app_in("torchdeck"), terminal_size=(80, 24), run_before=prepare)
