"""The studio polls at a rate that depends on whether something happens."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from studio_pilot import FAST, studio, until
from textual.app import App

from torchdeck.tui.polling import Poll
from torchdeck.tui.widgets.charts import chart as chart_module
from torchdeck.tui.widgets.charts.chart import Chart


async def test_the_pace_follows_what_goes_on() -> None:
    app: App[None] = App()
    looks: list[int] = []
    is_busy = False
    async with app.run_test() as pilot:
        poll = Poll(app, lambda: looks.append(1), lambda: is_busy, often=0.02, seldom=0.05)
        assert poll.is_often
        while poll.is_often:
            await pilot.pause(0.02)
        assert looks
        is_busy = True
        while not poll.is_often:
            await pilot.pause(0.02)
        is_busy = False
        while poll.is_often:
            await pilot.pause(0.02)
        poll.hurry()
        assert poll.is_often
        poll.stop()
        count = len(looks)
        await pilot.pause(0.2)
        assert len(looks) == count


async def test_the_studio_looks_often_only_while_a_run_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # After its first, empty drawing, no chart may draw just because its budget allows it.
    monkeypatch.setattr(chart_module, "SHORTEST_WAIT", 1000.0)
    monkeypatch.setattr(chart_module, "LONGEST_WAIT", 1000.0)
    async with studio(tmp_path, *FAST) as (app, pilot):
        poll = app._poll
        assert poll is not None
        await until(pilot, lambda: not poll.is_often)
        await pilot.press("4", "S")
        await until(pilot, lambda: poll.is_often)
        await until(pilot, lambda: app.watched_run.status == "finished")
        # A run that has ended shows its last data: the charts no longer wait.
        last_step = 2 * math.ceil(1438 / 128)
        drawn = [line.x[-1] for chart in app.query(Chart) for line in chart._series.values()]
        assert set(drawn) == {last_step}
        await until(pilot, lambda: not any(chart._is_changed for chart in app.query(Chart)))
        await until(pilot, lambda: not poll.is_often)
