"""Histograms in characters."""

from __future__ import annotations

from torchdeck.tui.widgets.charts.histogram import histogram_lines


def test_the_fullest_bin_has_the_full_height_and_a_single_value_is_seen() -> None:
    assert histogram_lines([0, 1000, 500, 1], height=2) == [" █  ", " ██▁"]
    assert histogram_lines([0, 0], height=2) == []
