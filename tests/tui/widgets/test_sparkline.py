"""Numbers as one line of bars."""

from torchdeck.tui.widgets.charts.sparkline import sparkline


def test_the_largest_fills_its_cell_and_only_zero_is_nothing() -> None:
    assert sparkline([0, 1, 400, 800]) == " ▁▄█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""
