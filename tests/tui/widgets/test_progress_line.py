"""One line of progress at every width."""

from __future__ import annotations

import pytest

from torchdeck.tui.drawing import cells
from torchdeck.tui.widgets.progress_line import progress_line


def plain(line: str) -> str:
    from textual.content import Content

    return Content.from_markup(line).plain


def test_the_numbers_come_first_then_a_bar_then_the_key_that_stops_it() -> None:
    assert plain(progress_line("reading", 4200, 60_000, 80)) == (
        f"reading  4,200 of 60,000  {'━' * 2}{'━' * 28}  Esc stops it"
    )
    assert plain(progress_line("reading", 4200, 60_000, 40)).startswith("reading  4,200 of 60,000  ━")
    assert plain(progress_line("reading", 4200, 60_000, 24)) == "reading  4,200 of 60,000"


def test_without_a_total_there_is_no_bar() -> None:
    assert plain(progress_line("listing", 812, 0, 80)) == "listing  812  Esc stops it"
    assert plain(progress_line("opening", 0, 0, 80)) == "opening  Esc stops it"


@pytest.mark.parametrize("width", range(1, 130))
def test_fits_every_width(width: int) -> None:
    assert cells(progress_line("reading [b]a file\x1b", 12_000, 60_000, width)) <= width
