"""One line of progress at every width."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from torchdeck.tui.widgets.progress_line import ProgressLine, duration, progress_text

EPOCH = ("epoch 3/30", 0.455, "12,400 samples/s  1:20 left")


def test_the_bar_shows_the_fraction() -> None:
    assert progress_text("decoding", 0.5, "", 39).plain == "decoding " + "━" * 11 + "─" * 11 + "  50 %"
    assert progress_text("decoding", 1.0, "", 39).plain.count("━") == 22
    assert progress_text("decoding", 0.0, "", 39).plain.count("─") == 22


@pytest.mark.parametrize("width", range(1, 130))
def test_fits_every_width(width: int) -> None:
    text = progress_text(*EPOCH, width).plain
    assert cell_len(text) <= width
    if width >= 20:
        assert "45 %" in text
    if width >= 60:
        assert "1:20 left" in text
        assert "━" in text


@pytest.mark.parametrize(("fraction", "percent"), [(-1, "  0 %"), (2, "100 %"), (0.999, " 99 %")])
def test_the_fraction_is_kept_in_range_and_is_100_only_at_the_end(fraction: float, percent: str) -> None:
    assert percent in progress_text("x", fraction, "", 80).plain


def test_without_a_fraction_there_is_no_bar() -> None:
    assert progress_text("compiling", None, "", 80).plain == "compiling"


async def test_the_same_line_is_not_drawn_again(app_with, lines_of, monkeypatch) -> None:
    line = ProgressLine()
    app = app_with(line)
    async with app.run_test(size=(80, 5)) as pilot:
        line.show(*EPOCH)
        await pilot.pause()
        assert lines_of(app)[0].startswith("epoch 3/30 ━━")
        drawn: list[None] = []
        monkeypatch.setattr(line, "refresh", lambda: drawn.append(None))
        line.show("epoch 3/30", 0.4551, EPOCH[2])
        assert drawn == []
        line.show("epoch 3/30", 0.6, EPOCH[2])
        assert drawn == [None]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (60, "1:00"), (3599, "59:59"), (7387, "2:03:07"), (273_600, "3 d 04:00")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text
