"""The chart draws changes if it is visible and its budget allows."""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.widgets import ContentSwitcher, Static

from torchdeck.tui.widgets.charts import chart as chart_module
from torchdeck.tui.widgets.charts.chart import SHORTEST_WAIT, Chart
from torchdeck.tui.widgets.charts.chart_view import View


class FramedApp(App[None]):
    """A chart in the frame that its title and settings are part of."""

    CSS = ".panel { border: round $foreground; }"

    def __init__(self, chart: Chart) -> None:
        super().__init__()
        self.chart = chart

    def compose(self) -> ComposeResult:
        yield self.chart


@pytest.fixture
def app_with() -> Callable[[Chart], FramedApp]:
    return FramedApp


@pytest.fixture
def lines_of() -> Callable[[App[None]], list[str]]:
    """The lines on the screen: the title, the plot and the settings without the frame at their sides."""

    def read(app: App[None]) -> list[str]:
        lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips(app.size)]
        return [line[1:-1].removeprefix("─ ").rstrip() for line in lines]

    return read


def is_braille(character: str) -> bool:
    return "\u2801" <= character <= "\u28ff"


def dots(lines: list[str]) -> int:
    return sum(is_braille(character) for line in lines for character in line)


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (30, 8), (20, 5), (5, 2)])
async def test_fills_its_space_at_every_size(app_with, lines_of, size) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=size) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100))
        await pilot.pause()
        assert all(chart.render_line(y).cell_length == chart.size.width for y in range(chart.size.height))
        if size[0] >= 30:
            assert dots(lines_of(app)) > 5
            assert lines_of(app)[0].startswith("loss  ━ train 0.1")


async def test_says_that_there_is_nothing(app_with, lines_of) -> None:
    chart = Chart("loss", empty="the first step has not ended")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)):
        assert any("the first step has not ended" in line for line in lines_of(app))
        chart.set_series("train", [], [])
        assert lines_of(app)[0].strip("─ ") == "loss"


async def test_what_the_x_axis_counts_stands_in_the_frame(app_with, lines_of) -> None:
    chart = Chart("loss", x_label="step")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [1, 100], [2, 1])
        chart._redraw()
        await pilot.pause()
        assert lines_of(app)[-2].split() == ["20", "40", "60", "80", "100"]
        assert lines_of(app)[-1].endswith("─ step ─")


async def test_without_a_lower_frame_the_line_of_ticks_says_what_the_x_axis_counts(app_with, lines_of) -> None:
    chart = Chart("loss", x_label="step")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.styles.border_bottom = ("none", "white")
        chart.set_series("train", [1, 100], [2, 1])
        chart._redraw()
        await pilot.pause()
        assert chart.render_line(chart.size.height - 1).text.split() == ["step", "20", "40", "60", "80", "100"]


async def test_a_single_point_can_be_seen(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [1], [0.5])
        chart._redraw()
        await pilot.pause()
        assert sum(line.count("•") for line in lines_of(app)) == 1


async def test_a_constant_is_a_line(app_with, lines_of) -> None:
    chart = Chart("accuracy")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [1, 2, 3], [0.25, 0.25, 0.25])
        chart._redraw()
        await pilot.pause()
        assert sum(dots([line]) > 60 for line in lines_of(app)) == 1


async def test_nan_is_a_gap_and_is_named_in_the_legend(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(1000), [1.0] * 400 + [math.nan] * 200 + [1.0] * 399 + [math.nan])
        chart._redraw()
        await pilot.pause()
        assert "train nan" in lines_of(app)[0]
        (line,) = [line for line in lines_of(app) if dots([line]) > 20]
        drawn = "".join("#" if is_braille(character) else " " for character in line)
        middle = drawn.strip()
        assert "#          " in middle
        assert middle.count("#") < 70


async def test_infinite_values_do_not_spoil_the_axis(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(4), [1.0, math.inf, 2.0, -math.inf])
        chart._redraw()
        await pilot.pause()
        assert any(line.strip().startswith("2.0│") for line in lines_of(app))


async def test_only_nan_is_said(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(3), [math.nan] * 3)
        chart._redraw()
        await pilot.pause()
        assert any("no finite values" in line for line in lines_of(app))


async def test_log_y_has_powers_of_ten_and_leaves_out_what_is_not_positive(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(5), [100.0, 1.0, 0.0, 0.01, -1.0])
        await pilot.press("l")
        await pilot.pause()
        labels = [line.partition("│")[0].strip() for line in lines_of(app) if "┈" in line]
        assert labels == ["100", "10", "1", "0.1", "0.01"]
        assert "─ log ─" in lines_of(app)[-1]
        chart.set_series("train", range(2), [0.0, -1.0])
        chart._redraw()
        await pilot.pause()
        assert any("no values above 0" in line for line in lines_of(app))


async def test_smoothing_is_drawn_over_the_faint_raw_line(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
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


async def test_marks_are_lines_with_a_letter(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100))
        chart.set_marks([(50, "R"), (500, "X")])
        chart._redraw()
        await pilot.pause()
        lines = lines_of(app)
        (column,) = [index for index, character in enumerate(lines[1]) if character == "R"]
        assert sum(line[column : column + 1] == "│" for line in lines) > 10
        assert not any("X" in line for line in lines)


async def test_lies_on_the_background_of_the_widget(app_with) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test(size=(80, 24)):
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100))
        chart.set_marks([(50, "R")])
        chart._redraw()
        segments = [segment for y in range(24) for segment in chart.render_line(y)]
        assert {segment.style.bgcolor for segment in segments} == {chart.rich_style.bgcolor}


async def test_names_cannot_control_the_terminal(app_with, lines_of) -> None:
    chart = Chart("[red]loss\x1b[2J")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("[bold]a\x07", [1, 2], [1, 2])
        chart._redraw()
        await pilot.pause()
        assert lines_of(app)[0].startswith(r"[red]loss\x1b[2J  ━ [bold]a\x07 2")


async def test_positions_that_do_not_ascend_are_sorted(app_with) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test():
        chart.set_series("train", [3, 1, 2], [30, 10, 20])
        np.testing.assert_array_equal(chart._series["train"].y, [10, 20, 30])


async def test_points_without_a_position_are_left_out(app_with) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test():
        chart.set_series("train", [1, math.nan, 3, math.inf], [10, 20, 30, 40])
        np.testing.assert_array_equal(chart._series["train"].y, [10, 30])


async def test_lengths_that_differ_are_an_error(app_with) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test():
        with pytest.raises(ValueError, match="'train': 2 positions but 3 values"):
            chart.set_series("train", [1, 2], [1, 2, 3])


async def test_clear_forgets_everything(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [1, 2], [1, 2])
        chart._redraw()
        chart.clear()
        await pilot.pause()
        assert dots(lines_of(app)) == 0
        assert lines_of(app)[0].strip("─ ") == "loss"


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
async def test_the_next_drawing_waits_for_the_budget(
    app_with, clock: Clock, cost: float, wait: float, monkeypatch
) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test() as pilot:
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


async def test_the_last_change_is_drawn_at_once_and_only_once(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
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


async def test_a_waiting_change_is_drawn_by_itself(app_with, clock: Clock) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test() as pilot:
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


async def test_what_did_not_change_is_not_drawn(app_with) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test() as pilot:
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


async def test_a_hidden_chart_is_drawn_when_it_is_shown(lines_of: Callable[[App[None]], list[str]]) -> None:
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


async def test_a_resize_is_drawn_at_once(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100))
        chart._next_drawing = math.inf
        await pilot.resize_terminal(120, 40)
        assert any(len(line) > 100 for line in lines_of(app) if dots([line]) or "─" in line)


async def test_another_theme_is_drawn_at_once(app_with) -> None:
    chart = Chart("loss")
    app = app_with(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100), "$primary")
        await pilot.pause()
        drawn = chart.drawings
        app.theme = "textual-light"
        await pilot.pause()
        assert chart.drawings > drawn


@pytest.mark.parametrize("seed", range(30))
async def test_any_numbers_can_be_drawn(app_with, seed: int, capfd: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(seed)
    extremes = [
        0.0,
        -0.0,
        1.0,
        1e-320,
        5e-324,
        1e308,
        -1e308,
        1e16,
        1e16 + 2,
        -7.5,
        1e-12,
        math.nan,
        math.inf,
        -math.inf,
    ]
    chart = Chart("loss")
    async with app_with(chart).run_test(size=(80, 24)):
        count = int(generator.integers(1, 400))
        chart.set_series(
            "a", np.sort(generator.choice([0, 1, 2.5, 1e9, 1e18], count)), generator.choice(extremes, count)
        )
        chart.set_series("b", [1e9], [generator.choice(extremes)])
        chart.smoothing = 0.6 * (seed % 2)
        chart.log_y = seed % 3 == 0
        chart._redraw()
        assert all(chart.render_line(y).cell_length == 78 for y in range(22))
    assert capfd.readouterr().out == ""


def test_importing_the_widgets_loads_neither_torch_nor_numpy_nor_the_engine() -> None:
    program = (
        "import importlib, pkgutil, sys, torchdeck.tui.widgets\n"
        "for module in pkgutil.iter_modules(torchdeck.tui.widgets.__path__, 'torchdeck.tui.widgets.'):\n"
        "    importlib.import_module(module.name)\n"
        "print(*sys.modules)"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert not {"torch", "numpy", "engine"} & set(output.split())


@pytest.mark.parametrize("last", [28, 298, 345, 920, 12_000, 93_800])
async def test_a_narrow_chart_has_several_ticks_and_says_what_they_count(app_with, lines_of, last: int) -> None:
    chart = Chart("loss", x_label="step")
    app = app_with(chart)
    async with app.run_test(size=(38, 12)) as pilot:
        chart.set_series("train", [1, last], [2, 1])
        chart._redraw()
        await pilot.pause()
        assert "─ step ─" in lines_of(app)[-1]
        assert 2 <= len(lines_of(app)[-2].split()) <= 6


async def test_the_cursor_reads_the_values_at_a_step(app_with, lines_of) -> None:
    chart = Chart("loss", x_label="step")
    app = app_with(chart)
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


async def test_zooming_draws_a_part_of_the_axis_with_its_own_height(app_with, lines_of) -> None:
    chart = Chart("loss", x_label="step")
    app = app_with(chart)
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


async def test_a_few_values_far_out_do_not_flatten_the_others_until_they_are_asked_for(app_with, lines_of) -> None:
    chart = Chart("loss")
    app = app_with(chart)
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


async def test_a_schedule_has_no_outliers(app_with, lines_of) -> None:
    chart = Chart("lr")
    app = app_with(chart)
    async with app.run_test(size=(80, 20)) as pilot:
        chart.set_series("lr", range(1000), np.concatenate([np.linspace(0, 1, 100), np.linspace(1, 0, 900)]))
        chart._redraw()
        await pilot.pause()
        assert "outliers" not in lines_of(app)[-1]


async def test_dragging_shows_that_range_and_a_click_puts_the_cursor_there(app_with, lines_of) -> None:
    chart = Chart("loss", x_label="step")
    app = app_with(chart)
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


async def test_the_wheel_zooms_around_the_pointer(app_with) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test(size=(80, 20)) as pilot:
        chart.set_series("train", range(1001), np.linspace(2, 1, 1001))
        chart._redraw()
        await pilot.pause()
        at = chart._position(20)
        wheel = {"widget": chart, "x": 21, "y": 5, "delta_x": 0, "delta_y": 0, "button": 0}
        wheel |= {"shift": False, "meta": False, "ctrl": False, "screen_x": 21, "screen_y": 5}
        chart.post_message(events.MouseScrollUp(**wheel))
        await pilot.pause()
        assert chart.view.window is not None
        assert chart.view.window[1] - chart.view.window[0] == pytest.approx(500)
        assert chart._position(20) == pytest.approx(at, abs=5)


async def test_only_cells_that_changed_are_painted(app_with) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test(size=(80, 20)) as pilot:
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


async def test_data_are_fetched_when_they_are_drawn(app_with) -> None:
    chart = Chart("loss")
    async with app_with(chart).run_test(size=(80, 20)) as pilot:
        await pilot.pause()
        chart._next_drawing = math.inf
        fetched: list[int] = []
        for number in range(3):
            chart.refill(lambda number=number: fetched.append(number))
            chart.request_redraw()
        assert fetched == []
        chart.draw_last()
        assert fetched == [2]
