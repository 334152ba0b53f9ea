"""The frame of a chart says what fits."""

import pytest
from plain_markup import plain

from torchdeck.tui.widgets.charts.chart_title import Heading, corner

LEGEND = [("train", 0.052214, "red"), ("val.", 0.15129, "blue")]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "loss  at step 1,550  ━ train 0.05221  ━ val. 0.1513"),
        (40, "loss @1,550 ━ 0.05221 ━ 0.1513"),
        (28, "loss @1,550 ━ 0.0522 ━ 0.151"),
    ],
)
def test_names_of_lines_go_first_then_digits(width: int, line: str) -> None:
    heading = Heading("loss", "step", 1550, LEGEND)
    assert plain(heading.markup(width)) == line


def test_without_a_title_or_a_cursor_only_the_lines_are_named() -> None:
    heading = Heading("", "step", None, LEGEND[:1])
    assert plain(heading.markup(80)) == "━ train 0.05221"


def test_names_are_text_and_not_markup() -> None:
    heading = Heading("[red]loss", "step", None, [("[bold]a", 1.0, "red")])
    assert plain(heading.markup(80)) == "[red]loss  ━ [bold]a 1"


def test_settings_make_room_for_a_note_which_is_shown_whole_or_not_at_all() -> None:
    assert corner(["zoomed", "", "step"], "[b]L[/] learning rate", 40) == "[b]L[/] learning rate   zoomed · step"
    assert corner(["zoomed", "step"], "[b]L[/] learning rate", 24) == "[b]L[/] learning rate   step"
    assert corner(["zoomed", "step"], "[b]L[/] learning rate", 20) == "zoomed · step"
    assert corner(["zoomed", "step"], "", 8) == "step"
