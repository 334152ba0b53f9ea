"""Bars, traces and words that line up, as markup that names can not break."""

from __future__ import annotations

import math

import pytest
from plain_markup import plain
from rich.cells import cell_len
from textual.content import Content

from torchdeck.tui import drawing
from torchdeck.tui.drawing import (
    area,
    bar,
    cells,
    ends,
    fits,
    left,
    name,
    pair,
    prose,
    right,
    rule,
    short_count,
    stacked,
    trace,
)

HOSTILE = (
    "[red]x[/red]", "[/]", "[", "a\\", "a\\[b]", "\\\\[/", "[@click=app.quit]x[/]", "$error", "\x1b[31m", "a\nb",
    "\u202eevil", "日本語のモデル", "[b", "]",
)  # fmt: skip


def colors(markup: str) -> list[tuple[str, str]]:
    content = Content.from_markup(markup)
    return [(content.plain[span.start : span.end], str(span.style)) for span in content.spans]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_name_is_shown_as_it_is_and_ends_no_markup_around_it(text: str) -> None:
    content = Content.from_markup(f"[b]before {name(text)}[/b] behind")
    (bold,) = content.spans
    assert content.plain.endswith(" behind") and content.plain[bold.end :] == " behind"
    shown = content.plain[len("before ") : -len(" behind")]
    # The reverse solidus of mathematics stands for a backslash that markup has no notation for.
    assert shown.replace("⧵", "\\") == drawing.printable(text).replace("⧵", "\\")
    assert "\n" not in content.plain and "\x1b" not in content.plain and "\u202e" not in content.plain


@pytest.mark.parametrize("text", [*HOSTILE, "short", "a rather long name of a run"])
@pytest.mark.parametrize("width", [1, 2, 5, 12, 40])
def test_columns_have_exactly_their_cells(text: str, width: int) -> None:
    for aligned in (left, right):
        assert cells(aligned(text, width)) == width
    assert cells(name(text, width)) <= width


def test_what_is_cut_says_so() -> None:
    assert name("a-long-name", 6) == "a-lon…"
    assert plain(left("[b]long", 5)) == "[b]l…"
    assert right("12", 5) == "   12"
    assert name("exact", 5) == "exact"
    assert name("whole" * 300).endswith("…")


def test_a_note_is_shown_whole_or_not_at_all() -> None:
    assert fits("[b]12[/]", " [$text-muted]GB[/]", 5) == "[b]12[/] [$text-muted]GB[/]"
    assert fits("[b]12[/]", " [$text-muted]GB[/]", 4) == "[b]12[/]"
    assert plain(ends("[b]a[/]", "[b]z[/]", 6)) == "a    z"
    assert plain(ends("[b]a[/]", "[b]z[/]", 2)) == "a"
    assert plain(pair("lr", "[b]0.1[/]", 4, note="of AdamW", room=20)) == "lr   0.1  of AdamW"
    assert plain(pair("lr", "[b]0.1[/]", 4, note="of AdamW", room=17)) == "lr   0.1"


def test_prose_wraps_and_keeps_its_lines() -> None:
    assert prose("one two three\n\n[b]four", 8) == ["one two", "three", "", "\\[b]four"]
    assert prose("", 8) == []
    assert all(len(line) <= 8 for line in prose("word " * 30, 3))


def test_a_rule_fills_its_line() -> None:
    assert plain(rule("data", 12)) == "data ───────"
    assert plain(rule("[b]", 2)) == "[b] "


@pytest.mark.parametrize(
    ("share", "drawn"),
    [
        (0.0, [("━━━━━━━━━━", "$track")]),
        (0.25, [("━━╸", "$primary"), ("━━━━━━━", "$track")]),
        (1.0, [("━━━━━━━━━━", "$primary")]),
        (7.0, [("━━━━━━━━━━", "$primary")]),
        (-1.0, [("━━━━━━━━━━", "$track")]),
        (math.nan, [("━━━━━━━━━━", "$track")]),
        (math.inf, [("━━━━━━━━━━", "$track")]),
    ],
)
def test_a_bar_is_half_a_cell_fine_and_never_longer_than_its_track(share: float, drawn: list[tuple[str, str]]) -> None:
    assert [each for each in colors(bar(share, 10)) if each[0]] == drawn


def test_several_shares_fill_one_bar_in_their_order() -> None:
    assert colors(stacked([(1, "$series-1"), (0, "$series-2"), (3, "$track")], 8)) == [
        ("━━", "$series-1"),
        ("━━━━━━", "$track"),
    ]
    # Rounding neither lengthens nor shortens it.
    for count in range(1, 12):
        assert cells(stacked([(1, "$series-1")] * count, 10)) == 10
    assert stacked([(0, "$series-1")], 10) == stacked([], 10) == ""


def test_a_trace_rises_with_its_values() -> None:
    assert [plain(line) for line in trace([0, 1, 2, 3], 2)] == ["⡠⠊"]
    upper, lower = trace(list(range(16)), 8, 2)
    assert plain(upper)[:4] == "⠀⠀⠀⠀" and plain(lower)[4:] == "⠀⠀⠀⠀"
    assert colors(upper) == [(plain(upper), "$series-1")]


def test_a_steep_trace_has_no_gaps() -> None:
    assert [plain(line) for line in trace([0, 1], 1)] == ["⡸"]
    assert [plain(line) for line in trace([1, 0], 1)] == ["⢱"]


def test_what_is_not_finite_is_a_gap_of_a_trace() -> None:
    values = [1.0, 1.0, math.nan, math.inf, 1.0, 1.0]
    assert plain(trace(values, 3)[0]) == "⣀⠀⣀"
    # No line joins the two sides of a gap.
    assert plain(trace([0.0, 0.0, math.nan, math.nan, 5.0, 5.0], 3)[0]) == "⣀⠀⠉"
    assert trace([math.nan, math.inf], 3, 2) == ["", ""]
    assert trace([], 3) == [""]
    assert trace([1.0], 0) == [""]


@pytest.mark.parametrize("count", [1, 2, 3, 17, 5000])
@pytest.mark.parametrize("width", [1, 7, 40])
def test_a_trace_has_its_width_however_many_values_there_are(count: int, width: int) -> None:
    lines = trace([math.sin(each) for each in range(count)], width, 2)
    assert [cell_len(plain(line)) for line in lines] == [width, width]


def test_huge_and_equal_values_can_be_traced() -> None:
    assert trace([1.5e308, 1.5e308, -1.5e308, -1.5e308], 2) == trace([1.0, 1.0, 0.0, 0.0], 2)
    assert set(plain(trace([1.1e300] * 40, 3)[0])) <= {"⣀", "⠉"}
    assert plain(trace([5.0] * 6, 3)[0]) == "⣀⣀⣀"


def test_an_area_shows_the_newest_at_the_right() -> None:
    assert [plain(line) for line in area([1.0, 1.0], 2, 2, ["$series-4", "$series-5"])] == [" ⣿", " ⣿"]
    upper, lower = area([0.5] * 4, 2, 2, ["$series-4", "$series-5"])
    assert colors(upper) == [("  ", "$series-5")] and colors(lower) == [("⣿⣿", "$series-4")]
    assert plain(area([math.nan, 2.0], 1, 1, ["$series-4"])[0]) == "⢸"
    assert [cells(line) for line in area([0.3] * 500, 9, 3, ["$series-4"])] == [9, 9, 9]


def test_a_busy_device_is_good_and_a_full_one_is_not() -> None:
    assert [drawing.busy(share) for share in (0.1, 0.7, 1.0)] == ["$warning", "$success", "$success"]
    assert [drawing.full(share) for share in (0.1, 0.9, 0.99)] == ["$series-4", "$warning", "$error"]


def test_a_count_is_short_and_never_longer_than_five_cells() -> None:
    counts = (0, 999, 5130, 14_240, 60_000, 999_960, 25_557_032, 1_819_000_000)
    assert [short_count(count) for count in counts] == ["0", "999", "5,130", "14.2k", "60k", "1M", "25.6M", "1.82G"]
    assert max(len(short_count(int(1.07**power))) for power in range(500)) == 5
