"""The chart draws changes if it is visible and its budget allows."""

from __future__ import annotations

import asyncio
import math

import numpy as np
import pytest
from framed_chart import FramedApp, dots, lines_of
from textual.app import App, ComposeResult
from textual.widgets import ContentSwitcher, Static

from torchdeck.tui.widgets.charts import chart as chart_module
from torchdeck.tui.widgets.charts.chart import SHORTEST_WAIT, Chart


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.used = 0.0

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.used


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(chart_module, "time", clock)
    return clock


@pytest.mark.parametrize(("cost", "wait"), [(0.0, 0.5), (0.02, 2.0), (3.0, 5.0)])
async def test_the_next_drawing_waits_for_the_budget(clock: Clock, cost: float, wait: float, monkeypatch) -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test() as pilot:
        chart.set_series("train", [1, 2], [1, 2])
        await pilot.pause()
        timers: list[float] = []
        monkeypatch.setattr(chart, "set_timer", lambda seconds, _: timers.append(seconds) or object())
        lines = chart._drawn

        def lines_that_cost(width: int, height: int) -> object:
            clock.used += cost
            return lines(width, height)

        monkeypatch.setattr(chart, "_drawn", lines_that_cost)
        clock.now += 100
        chart._timer = None
        chart.set_series("train", [1, 2, 3], [1, 2, 3])
        await pilot.pause()
        drawn = chart.drawings
        assert chart.cost == pytest.approx(cost)
        chart.set_series("train", [1, 2, 3, 4], [1, 2, 3, 4])
        chart.request_redraw()
        assert timers == [pytest.approx(wait)]
        assert chart.drawings == drawn
        chart._timer = None
        clock.now += wait
        chart.request_redraw()
        assert chart.drawings == drawn + 1


async def test_the_last_change_is_drawn_at_once_and_only_once() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [0, 160], [2, 1])
        chart._redraw()
        await pilot.pause()
        chart._next_drawing = math.inf
        chart.set_series("train", [0, 345], [2, 1])
        drawn = chart.drawings
        chart.draw_last()
        chart.draw_last()
        assert (chart.drawings, chart._timer) == (drawn + 1, None)
        assert "300" in lines_of(app)[-2]


async def test_a_waiting_change_is_drawn_by_itself(clock: Clock) -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test() as pilot:
        chart.set_series("train", [1, 2], [1, 2])
        await pilot.pause()
        drawn = chart.drawings
        chart.set_series("train", [1, 2, 3], [1, 2, 3])
        assert chart._timer is not None
        assert chart.drawings == drawn
        clock.now += SHORTEST_WAIT
        async with asyncio.timeout(60):
            while chart.drawings == drawn:
                await pilot.pause(0.05)
        assert chart.drawings == drawn + 1
        assert chart._timer is None


async def test_what_did_not_change_is_not_drawn() -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test() as pilot:
        chart.set_series("train", [1, 2], [1, math.nan])
        chart._redraw()
        await pilot.pause()
        drawn = chart.drawings
        chart._next_drawing = 0
        chart.set_series("train", np.array([1, 2]), np.array([1, math.nan]))
        chart.set_marks([])
        chart.request_redraw()
        assert chart.drawings == drawn
        assert chart._timer is None


async def test_a_hidden_chart_is_drawn_when_it_is_shown() -> None:
    class Panes(App[None]):
        def compose(self) -> ComposeResult:
            with ContentSwitcher(initial="other"):
                yield Chart("loss", id="chart")
                yield Static("other", id="other")

    app = Panes()
    async with app.run_test(size=(80, 24)) as pilot:
        chart = app.query_one(Chart)
        chart.set_series("train", [1, 2], [1, 2])
        chart.request_redraw()
        await pilot.pause()
        assert chart.drawings == 0
        assert chart._timer is None
        app.query_one(ContentSwitcher).current = "chart"
        await pilot.pause()
        assert chart.drawings >= 1
        assert dots(lines_of(app)) > 0
        app.query_one(ContentSwitcher).current = "other"
        await pilot.pause()
        drawn = chart.drawings
        chart._next_drawing = 0
        chart.set_series("train", [1, 2, 3], [1, 2, 3])
        assert chart.drawings == drawn


async def test_a_resize_is_drawn_at_once() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100))
        chart._next_drawing = math.inf
        await pilot.resize_terminal(120, 40)
        assert any(len(line) > 100 for line in lines_of(app) if dots([line]) or "─" in line)


async def test_another_theme_is_drawn_at_once() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100), "$primary")
        await pilot.pause()
        drawn = chart.drawings
        app.theme = "textual-light"
        await pilot.pause()
        assert chart.drawings > drawn


async def test_only_cells_that_changed_are_painted() -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test(size=(80, 20)) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 1, 100))
        chart._redraw()
        await pilot.pause()
        painted: list[object] = []
        chart.refresh = lambda *regions, **options: painted.extend(regions)
        chart.set_series("val.", [50], [1.75])
        chart._redraw()
        title, point = painted
        assert (title.y, title.height) == (-1, 1)
        assert (point.width, point.height) == (1, 1)


async def test_data_are_fetched_when_they_are_drawn() -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test(size=(80, 20)) as pilot:
        await pilot.pause()
        chart._next_drawing = math.inf
        fetched: list[int] = []
        for number in range(3):
            chart.refill(lambda number=number: fetched.append(number))
            chart.request_redraw()
        assert fetched == []
        chart.draw_last()
        assert fetched == [2]
