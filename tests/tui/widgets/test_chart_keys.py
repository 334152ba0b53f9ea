"""Keys and mouse of the chart: smoothing, cursor, zoom and outliers."""

from __future__ import annotations

import numpy as np
import pytest
from framed_chart import FramedApp, is_braille, lines_of
from textual import events

from torchdeck.tui.widgets.charts.chart import Chart
from torchdeck.tui.widgets.charts.chart_view import View


async def test_smoothing_is_drawn_over_the_faint_raw_line() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(500), np.tile([0.0, 1.0], 250), "#ff0000")
        chart.set_series("validation", [0, 499], [0.5, 0.7], "#00ff00", is_smoothed=False)

        def colors() -> set[tuple[int, int, int]]:
            segments = [segment for y in range(1, 23) for segment in chart.render_line(y)]
            return {tuple(s.style.color.triplet) for s in segments if any(map(is_braille, s.text))}

        chart._redraw()
        await pilot.pause()
        assert colors() == {(255, 0, 0), (0, 255, 0)}
        more, less = (
            [("full_stop", weight) for weight in (0.6, 0.9, 0.98)],
            [("comma", weight) for weight in (0.9, 0.6, 0)],
        )
        for key, weight in [*more, *less]:
            await pilot.press(key)
            assert chart.smoothing == weight
            assert len(colors()) == (3 if weight else 2)
            assert (f"smooth {weight:g}" in lines_of(app)[-1]) == bool(weight)
            assert "validation 0.7" in lines_of(app)[0]


async def test_the_cursor_reads_the_values_at_a_step() -> None:
    chart = Chart("loss", x_label="step")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 20)) as pilot:
        chart.focus()
        chart.set_series("train", range(1, 1201), [1200 - step for step in range(1, 1201)])
        chart.set_series("val.", [1000], [7])
        await pilot.press("left")
        title = lines_of(app)[0].rstrip("─ ")
        assert title.split() == ["loss", "at", "step", "1,200", "━", "train", "0", "━", "val.", "7"]
        assert "▼" in lines_of(app)[1]
        await pilot.press(*["shift+left"] * 2)
        step = int(lines_of(app)[0].split()[3].replace(",", ""))
        assert 800 < step < 1000
        title = lines_of(app)[0].rstrip("─ ")
        assert title.split()[4:] == ["━", "train", str(1200 - step), "━", "val.", "nan"]
        await pilot.press("escape")
        assert "at step" not in lines_of(app)[0]


async def test_zooming_draws_a_part_of_the_axis_with_its_own_height() -> None:
    chart = Chart("loss", x_label="step")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 20)) as pilot:
        chart.focus()
        chart.set_series("train", range(1001), [1000.0, *[1.0] * 500, *np.linspace(1, 0.5, 500)])
        await pilot.press("plus")
        assert "zoomed" in lines_of(app)[-1]
        assert "1000" not in "".join(lines_of(app)[1:-2])
        assert int(lines_of(app)[-2].split()[0]) >= 500
        await pilot.press("minus")
        assert "zoomed" not in lines_of(app)[-1]
        await pilot.press("plus", "plus", "escape")
        assert "zoomed" not in lines_of(app)[-1]
        chart.keep_series(())
        chart.set_series("val.", [0, 1000], [1, 2])
        chart.view = View(window=(200, 300))
        await pilot.pause()
        assert any("no data in this range" in line for line in lines_of(app))


async def test_a_few_values_far_out_do_not_flatten_the_others_until_they_are_asked_for() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 20)) as pilot:
        chart.focus()
        values = np.linspace(1.0, 0.5, 1000)
        values[500] = 1000.0
        chart.set_series("train", range(1000), values)
        chart._redraw()
        await pilot.pause()
        flat = sum(is_braille(character) for character in lines_of(app)[1])
        assert "outliers left out" in lines_of(app)[-1]
        assert any(line.startswith("0.8│") for line in lines_of(app))
        await pilot.press("0")
        assert "outliers" not in lines_of(app)[-1]
        assert any(line.startswith("1000│") for line in lines_of(app))
        assert sum(is_braille(character) for character in lines_of(app)[1]) < flat


async def test_dragging_shows_that_range_and_a_click_puts_the_cursor_there() -> None:
    chart = Chart("loss", x_label="step")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 20)) as pilot:
        chart.set_series("train", range(1001), np.linspace(2, 1, 1001))
        chart._redraw()
        await pilot.pause()
        await pilot.mouse_down(chart, offset=(30, 5))
        await pilot.hover(chart, offset=(50, 5))
        await pilot.mouse_up(chart, offset=(50, 5))
        low, high = chart.view.window
        assert 300 < low < 400
        assert 600 < high < 680
        assert "zoomed" in lines_of(app)[-1]
        await pilot.click(chart, offset=(40, 5))
        assert low < chart.view.cursor < high
        assert chart.view.window == (low, high)


def _position(chart: Chart, column: int) -> float:
    assert chart._frame is not None
    return chart._frame.position(column, chart.size.width)


async def test_the_wheel_zooms_around_the_pointer() -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test(size=(80, 20)) as pilot:
        chart.set_series("train", range(1001), np.linspace(2, 1, 1001))
        chart._redraw()
        await pilot.pause()
        at = _position(chart, 20)
        wheel = {"widget": chart, "x": 21, "y": 5, "delta_x": 0, "delta_y": 0, "button": 0}
        wheel |= {"shift": False, "meta": False, "ctrl": False, "screen_x": 21, "screen_y": 5}
        chart.post_message(events.MouseScrollUp(**wheel))
        await pilot.pause()
        assert chart.view.window is not None
        assert chart.view.window[1] - chart.view.window[0] == pytest.approx(500)
        assert _position(chart, 20) == pytest.approx(at, abs=5)
