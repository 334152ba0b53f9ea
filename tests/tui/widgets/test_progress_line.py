"""One line of progress at every width."""

from __future__ import annotations

import pytest
from plain_markup import plain

from torchdeck.tui.drawing import cells
from torchdeck.tui.widgets.progress_line import progress_line


def test_the_numbers_come_first_then_a_bar_then_the_key_that_stops_it() -> None:
    assert plain(progress_line("reading", 300, 600, 80)) == f"reading  300 of 600  {'━' * 30}  Esc stops it"
    assert f"[$primary]{'━' * 15}[/][$track]{'━' * 15}[/]" in progress_line("reading", 300, 600, 80)
    assert plain(progress_line("reading", 300, 600, 40)) == f"reading  300 of 600  {'━' * 7}╸{'━' * 7}"
    assert plain(progress_line("reading", 300, 600, 24)) == "reading  300 of 600"


def test_without_a_total_there_is_no_bar() -> None:
    assert plain(progress_line("listing", 812, 0, 80)) == "listing  812  Esc stops it"
    assert plain(progress_line("opening", 0, 0, 80)) == "opening  Esc stops it"


@pytest.mark.parametrize("width", range(1, 130))
def test_fits_every_width(width: int) -> None:
    assert cells(progress_line("reading [b]a file\x1b", 12_000, 60_000, width)) <= width
