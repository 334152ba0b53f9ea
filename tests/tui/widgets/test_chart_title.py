"""The line above a chart shows what fits."""

import pytest

from torchdeck.tui.widgets.charts.chart_title import Heading

LEGEND = [("train", 0.052214, "red"), ("val.", 0.15129, "blue")]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "loss at step 1,550  ━ train 0.05221  ━ val. 0.1513  zoomed · smooth 0.6"),
        (60, "loss @1,550 ━ train 0.05221 ━ val. 0.1513 zoom ~0.6"),
        (38, "loss @1,550 ━ train 0.0522 ━ val. 0.151 zoom ~0.6"),
    ],
)
def test_it_is_shortened_until_it_fits(width: int, line: str) -> None:
    heading = Heading("loss", "step", 1550, LEGEND, [("zoomed", "zoom"), ("smooth 0.6", "~0.6")])
    assert "".join(part.text for part in heading.parts(width)) == line


def test_without_a_title_or_a_cursor_only_the_lines_are_named() -> None:
    heading = Heading("", "step", None, LEGEND[:1], [])
    assert "".join(part.text for part in heading.parts(80)) == "━ train 0.05221"
