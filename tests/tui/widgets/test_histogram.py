"""Histograms and curves in characters."""

from __future__ import annotations

import math

from torchdeck.tui.widgets.charts.histogram import curve_line, histogram_lines


def test_the_fullest_bin_has_the_full_height_and_a_single_value_is_seen() -> None:
    assert histogram_lines([0, 1000, 500, 1], height=2) == [" █  ", " ██▁"]
    assert histogram_lines([0, 0], height=2) == []


def test_a_curve_shows_the_newest_values_by_their_magnitude() -> None:
    assert curve_line([9.0, 1e-3, 1e-2, 1.0, math.nan, 0.0], width=5) == "▁▃█! "
    assert curve_line([2.0, 2.0], width=5) == "▄▄"
    assert curve_line([], width=5) == ""
