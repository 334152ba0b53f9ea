"""The visible range of a chart's x axis, and its cursor."""

from __future__ import annotations

import pytest

from torchdeck.tui.widgets.charts.chart_view import View, moved, zoomed

ALL = (0.0, 100.0)
POINTS = [float(position) for position in range(101)]


def test_zooming_in_shows_the_newest_half_and_follows_what_comes() -> None:
    view = zoomed(View(), ALL, is_in=True)
    assert view.limits(ALL) == (50, 100)
    assert view.limits((0, 180)) == (130, 180)


def test_zooming_in_keeps_the_cursor_where_it_is_on_the_screen() -> None:
    view = zoomed(View(cursor=20), ALL, is_in=True)
    assert view.limits(ALL) == (10, 60)
    assert view.limits((0, 180)) == (10, 60)


def test_zooming_out_ends_with_all_there_is() -> None:
    view = zoomed(zoomed(View(), ALL, is_in=True), ALL, is_in=True)
    assert zoomed(view, ALL, is_in=False).limits(ALL) == (50, 100)
    assert zoomed(zoomed(view, ALL, is_in=False), ALL, is_in=False) == View()


def test_zooming_ends_at_a_ten_thousandth() -> None:
    view = View()
    for _ in range(100):
        view = zoomed(view, ALL, is_in=True)
    assert view.limits(ALL) == pytest.approx((99.99, 100))


@pytest.mark.parametrize("everything", [(0.0, 0.0), (5.0, 5.0)])
def test_a_single_point_can_not_be_zoomed(everything: tuple[float, float]) -> None:
    assert zoomed(View(), everything, is_in=True) == View()


def test_the_cursor_comes_at_the_newest_point_and_moves_by_columns() -> None:
    view = moved(View(), ALL, POINTS, 20, -1)
    assert view.cursor == 100
    assert moved(view, ALL, POINTS, 20, -1).cursor == 95
    assert moved(view, ALL, POINTS, 20, -10).cursor == 50


def test_the_cursor_stands_on_points_and_moves_by_one_at_least() -> None:
    points = [0.0, 40.0, 100.0]
    view = moved(View(cursor=100), ALL, points, 50, -1)
    assert view.cursor == 40
    assert moved(view, ALL, points, 50, -1).cursor == 0
    assert moved(View(cursor=0), ALL, points, 50, -1).cursor == 0


def test_the_cursor_takes_the_window_along() -> None:
    view = View(window=(50, 60), cursor=51)
    further = moved(view, ALL, POINTS, 10, -3)
    assert further.cursor == 48
    low, high = further.limits(ALL)
    assert (low, high) == (43, 53)
