"""A click on an entry of the legend hides its line, and shows it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchdeck.tui.widgets.charts.chart import Chart

Look = Callable[..., Any]
Lines = Callable[[Any], list[str]]


async def test_a_click_on_a_name_hides_its_line_and_shows_it_again(look_with: Look, lines_of: Lines) -> None:
    chart = Chart("Loss")
    app = look_with(chart)
    async with app.run_test(size=(80, 16)) as pilot:
        chart.set_series("train", range(50), [1.0] * 50)
        chart.set_series("val.", range(50), [9.0] * 50)
        chart.draw_last()
        await pilot.pause()
        whole = lines_of(app)
        place = whole[0].index("val.")
        assert "━ val. 9" in whole[0]
        await pilot.click(chart, offset=(place, 0))
        await pilot.pause()
        hidden = lines_of(app)
        assert "╌ val." in hidden[0] and "val. 9" not in hidden[0] and "━ train 1" in hidden[0]
        assert hidden[1:] != whole[1:]
        await pilot.click(chart, offset=(hidden[0].index("train"), 0))
        await pilot.pause()
        assert any("all lines are hidden" in line for line in lines_of(app))
        for word in ("train", "val."):
            await pilot.click(chart, offset=(lines_of(app)[0].index(word), 0))
            await pilot.pause()
        assert lines_of(app) == whole


async def test_another_title_shows_all_lines(look_with: Look, lines_of: Lines) -> None:
    chart = Chart("Loss")
    app = look_with(chart)
    async with app.run_test(size=(80, 16)) as pilot:
        for name in ("train", "val."):
            chart.set_series(name, range(5), range(5))
        chart.action_toggle_line(1)
        chart.title = "Accuracy"
        chart.draw_last()
        await pilot.pause()
        assert "━ val." in lines_of(app)[0]


async def test_a_key_shows_each_line_alone_and_then_all(look_with: Look, lines_of: Lines) -> None:
    chart = Chart("Loss")
    app = look_with(chart)
    async with app.run_test(size=(80, 16)) as pilot:
        for name in ("train", "val."):
            chart.set_series(name, range(5), range(5))
        chart.focus()
        heads = []
        for _ in range(3):
            await pilot.press("h")
            await pilot.pause()
            heads.append(lines_of(app)[0])
        assert ["━ train" in head for head in heads] == [True, False, True]
        assert ["━ val." in head for head in heads] == [False, True, True]
