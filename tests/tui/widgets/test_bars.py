"""Bars are proportional and fit."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.containers import VerticalScroll

from torchdeck.tui.widgets.charts.bars import Bar, Bars


async def test_lengths_follow_the_values(app_with, lines_of) -> None:
    bars = Bars()
    app = app_with(bars)
    async with app.run_test(size=(40, 10)) as pilot:
        bars.set_bars([Bar("cat", 1000), Bar("dog", 500), Bar("bird", 0), Bar("ant", 0.001)])
        await pilot.pause()
        lines = lines_of(app)
        assert lines[0] == "cat  1,000 " + "█" * 29
        assert lines[1] == "dog    500 " + "█" * 14 + "▌"
        assert lines[2] == "bird     0"
        assert lines[3].endswith(" ▏")


@pytest.mark.parametrize("width", [20, 80, 200])
async def test_lines_are_never_wider_than_the_screen(app_with, lines_of, width: int) -> None:
    bars = Bars()
    app = app_with(bars)
    async with app.run_test(size=(width, 10)) as pilot:
        bars.set_bars([Bar("a very long name of a class [b]" * 5, 3), Bar("東京" * 40, 1e9), Bar("x\x1b[2J", 1)])
        await pilot.pause()
        lines = [line for line in lines_of(app) if line]
        assert len(lines) == 3
        assert all(cell_len(line) <= width for line in lines)
        assert "\x1b" not in "".join(lines)


async def test_as_high_as_its_bars() -> None:
    class Scrolling(App[None]):
        def compose(self) -> ComposeResult:
            with VerticalScroll():
                yield Bars()

    app = Scrolling()
    async with app.run_test(size=(80, 24)) as pilot:
        app.query_one(Bars).set_bars([Bar(f"class {index}", index) for index in range(100)])
        await pilot.pause()
        assert app.query_one(Bars).size.height == 100
        assert app.query_one(VerticalScroll).max_scroll_y == 76


async def test_text_instead_of_the_value_and_without_bars(app_with, lines_of) -> None:
    bars = Bars(empty="not counted yet")
    app = app_with(bars)
    async with app.run_test(size=(40, 5)) as pilot:
        assert lines_of(app)[0] == "not counted yet"
        bars.set_bars([Bar("a", 0.5, "50 %")])
        await pilot.pause()
        assert lines_of(app)[0].startswith("a 50 % █")
