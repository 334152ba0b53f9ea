"""What the chart shows of any numbers at any size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from framed_chart import FramedApp, dots, is_braille, lines_of

from torchdeck.tui.widgets.charts.chart import Chart


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (30, 8), (20, 5), (5, 2)])
async def test_fills_its_space_at_every_size(size) -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=size) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100))
        await pilot.pause()
        assert all(chart.render_line(y).cell_length == chart.size.width for y in range(chart.size.height))
        if size[0] >= 30:
            assert dots(lines_of(app)) > 5
            assert lines_of(app)[0].startswith("loss  ━ train 0.1")


async def test_says_that_there_is_nothing() -> None:
    chart = Chart("loss", empty="the first step has not ended")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)):
        assert any("the first step has not ended" in line for line in lines_of(app))
        chart.set_series("train", [], [])
        assert lines_of(app)[0].strip("─ ") == "loss"


async def test_what_the_x_axis_counts_stands_in_the_frame() -> None:
    chart = Chart("loss", x_label="step")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [1, 100], [2, 1])
        chart._redraw()
        await pilot.pause()
        assert lines_of(app)[-2].split() == ["20", "40", "60", "80", "100"]
        assert lines_of(app)[-1].endswith("─ step ─")


async def test_without_a_lower_frame_the_line_of_ticks_says_what_the_x_axis_counts() -> None:
    chart = Chart("loss", x_label="step")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.styles.border_bottom = ("none", "white")
        chart.set_series("train", [1, 100], [2, 1])
        chart._redraw()
        await pilot.pause()
        assert chart.render_line(chart.size.height - 1).text.split() == ["step", "20", "40", "60", "80", "100"]


async def test_a_single_point_can_be_seen() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [1], [0.5])
        chart._redraw()
        await pilot.pause()
        assert sum(line.count("•") for line in lines_of(app)) == 1


async def test_a_constant_is_a_line() -> None:
    chart = Chart("accuracy")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [1, 2, 3], [0.25, 0.25, 0.25])
        chart._redraw()
        await pilot.pause()
        assert sum(dots([line]) > 60 for line in lines_of(app)) == 1


async def test_nan_is_a_gap_and_is_named_in_the_legend() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
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


async def test_infinite_values_do_not_spoil_the_axis() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(4), [1.0, math.inf, 2.0, -math.inf])
        chart._redraw()
        await pilot.pause()
        assert any(line.strip().startswith("2.0│") for line in lines_of(app))


async def test_only_nan_is_said() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(3), [math.nan] * 3)
        chart._redraw()
        await pilot.pause()
        assert any("no finite values" in line for line in lines_of(app))


async def test_log_y_has_powers_of_ten_and_leaves_out_what_is_not_positive() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
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


async def test_marks_are_lines_with_a_letter() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100))
        chart.set_marks([(50, "R"), (500, "X")])
        chart._redraw()
        await pilot.pause()
        lines = lines_of(app)
        (column,) = [index for index, character in enumerate(lines[1]) if character == "R"]
        assert sum(line[column : column + 1] == "│" for line in lines) > 10
        assert not any("X" in line for line in lines)


async def test_lies_on_the_background_of_the_widget() -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test(size=(80, 24)):
        chart.set_series("train", range(100), np.linspace(2, 0.1, 100))
        chart.set_marks([(50, "R")])
        chart._redraw()
        segments = [segment for y in range(24) for segment in chart.render_line(y)]
        assert {segment.style.bgcolor for segment in segments} == {chart.rich_style.bgcolor}


async def test_names_cannot_control_the_terminal() -> None:
    chart = Chart("[red]loss\x1b[2J")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("[bold]a\x07", [1, 2], [1, 2])
        chart._redraw()
        await pilot.pause()
        assert lines_of(app)[0].startswith(r"[red]loss\x1b[2J  ━ [bold]a\x07 2")


async def test_positions_that_do_not_ascend_are_sorted() -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test():
        chart.set_series("train", [3, 1, 2], [30, 10, 20])
        np.testing.assert_array_equal(chart._series["train"].y, [10, 20, 30])


async def test_points_without_a_position_are_left_out() -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test():
        chart.set_series("train", [1, math.nan, 3, math.inf], [10, 20, 30, 40])
        np.testing.assert_array_equal(chart._series["train"].y, [10, 30])


async def test_lengths_that_differ_are_an_error() -> None:
    chart = Chart("loss")
    async with FramedApp(chart).run_test():
        with pytest.raises(ValueError, match="'train': 2 positions but 3 values"):
            chart.set_series("train", [1, 2], [1, 2, 3])


async def test_clear_forgets_everything() -> None:
    chart = Chart("loss")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 24)) as pilot:
        chart.set_series("train", [1, 2], [1, 2])
        chart._redraw()
        chart.clear()
        await pilot.pause()
        assert dots(lines_of(app)) == 0
        assert lines_of(app)[0].strip("─ ") == "loss"


async def test_any_numbers_can_be_drawn(capfd: pytest.CaptureFixture[str]) -> None:
    generator = np.random.default_rng(0)
    tiny, huge = [0.0, -0.0, 1e-320, 5e-324, 1e-12], [1e308, -1e308, 1e16, 1e16 + 2]
    extremes = [*tiny, *huge, 1.0, -7.5, math.nan, math.inf, -math.inf]
    chart = Chart("loss")
    async with FramedApp(chart).run_test(size=(80, 24)):
        for draw in range(30):
            chart._next_drawing = math.inf
            count = int(generator.integers(1, 400))
            chart.set_series(
                "a", np.sort(generator.choice([0, 1, 2.5, 1e9, 1e18], count)), generator.choice(extremes, count)
            )
            chart.set_series("b", [1e9], [generator.choice(extremes)])
            chart.smoothing = 0.6 * (draw % 2)
            chart.log_y = draw % 3 == 0
            chart._redraw()
            assert all(chart.render_line(y).cell_length == 78 for y in range(22)), draw
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("last", [28, 298, 345, 920, 12_000, 93_800])
async def test_a_narrow_chart_has_several_ticks_and_says_what_they_count(last: int) -> None:
    chart = Chart("loss", x_label="step")
    app = FramedApp(chart)
    async with app.run_test(size=(38, 12)) as pilot:
        chart.set_series("train", [1, last], [2, 1])
        chart._redraw()
        await pilot.pause()
        assert "─ step ─" in lines_of(app)[-1]
        assert 2 <= len(lines_of(app)[-2].split()) <= 6


async def test_a_schedule_has_no_outliers() -> None:
    chart = Chart("lr")
    app = FramedApp(chart)
    async with app.run_test(size=(80, 20)) as pilot:
        chart.set_series("lr", range(1000), np.concatenate([np.linspace(0, 1, 100), np.linspace(1, 0, 900)]))
        chart._redraw()
        await pilot.pause()
        assert "outliers" not in lines_of(app)[-1]
