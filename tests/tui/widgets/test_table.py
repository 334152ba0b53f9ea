"""Columns that fit, their widths, and where a heading was clicked."""

from __future__ import annotations

import pytest
from plain_markup import plain
from textual.content import Content

from torchdeck.tui.drawing import cells, name
from torchdeck.tui.widgets.table import Column, aligned, layout

Row = tuple[str, str]

NAME = Column[Row]("name", "name", 10, lambda row, width: name(row[0]), is_left=True, is_wide=True)
STEP = Column[Row]("step", "step", 6, lambda row, width: f"[b]{row[1]}[/]")
NOTE = Column[Row]("note", "note", 12, lambda row, width: f"[$text-muted]{width}[/]", is_left=True, rank=2)
TIME = Column[Row]("time", "time", 5, lambda row, width: "", rank=1)
COLUMNS = (NAME, STEP, NOTE, TIME)


@pytest.mark.parametrize(
    ("width", "names"),
    [
        (100, ["name", "step", "note", "time"]),
        (39, ["name", "step", "note", "time"]),
        (38, ["name", "step", "time"]),
        (25, ["name", "step", "time"]),
        (24, ["name", "step"]),
        (18, ["name", "step"]),
        (17, ["name"]),
        (3, ["name"]),
    ],
)
def test_columns_of_the_highest_rank_go_first_and_the_last_of_one_rank(width: int, names: list[str]) -> None:
    shown = layout(COLUMNS, width)
    assert [column.name for column in shown.columns] == names


@pytest.mark.parametrize("width", [18, 25, 39, 100])
def test_the_wide_column_takes_the_rest_and_lines_end_where_the_head_ends(width: int) -> None:
    shown = layout(COLUMNS, width)
    assert sum(shown.widths) + 2 * (len(shown.widths) - 1) == width
    assert cells(shown.head()) == cells(shown.line(("a", "7"))) == width


def test_names_stand_left_and_numbers_right_below_their_headings() -> None:
    shown = layout((NAME, STEP), 20)
    assert plain(shown.head()) == "name            step"
    assert plain(shown.line(("first", "1,250"))) == "first          1,250"


def test_a_cell_knows_the_width_that_its_column_got() -> None:
    assert plain(layout((NOTE,), 30).line(("", ""))) == f"{'12':<12}"
    assert plain(layout((NAME, NOTE), 40).line(("", ""))) == f"{'':<28}{'12':<12}"


def test_an_arrow_marks_the_heading_that_the_rows_are_sorted_by() -> None:
    shown = layout((NAME, STEP), 20)
    assert plain(shown.head("name")) == "name ↓          step"
    assert plain(shown.head("step", is_reversed=True)) == "name          ↑ step"
    assert plain(shown.head("other")) == plain(shown.head())


def test_a_click_on_a_heading_is_one_on_its_column() -> None:
    shown = layout(COLUMNS, 39)
    found = [column.name if (column := shown.column_at(x)) is not None else "" for x in (0, 9, 12, 17, 20, 34, 38, 60)]
    assert found == ["name", "name", "step", "step", "note", "time", "time", ""]


@pytest.mark.parametrize("is_left", [True, False])
@pytest.mark.parametrize(
    "markup", ["", "[b]7[/]", "[$success]much too long[/] for it", name("[red]x[/red] \\"), "日本語日本語"]
)
def test_what_is_aligned_has_exactly_its_cells(markup: str, is_left: bool) -> None:
    for width in (1, 2, 5, 8, 40):
        assert cells(aligned(markup, width, is_left=is_left)) == width


def test_what_is_too_long_loses_its_end_and_keeps_its_colors_and_brackets() -> None:
    short = Content.from_markup(aligned(f"[$success]{name('[b]loss')}[/] of it", 5, is_left=True))
    assert short.plain == "[b]l…"
    assert [str(span.style) for span in short.spans] == ["$success"]
