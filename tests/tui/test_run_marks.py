"""Marked runs and their colors."""

from pathlib import Path

from torchdeck.tui.runs.marks import RunMarks

A, B, C = map(Path, "abc")


def test_a_run_keeps_its_color_while_it_is_marked_and_a_free_one_is_used_again() -> None:
    marks = RunMarks()
    for run in (A, B, C):
        marks.toggle(run)
    assert [marks.color(run) for run in (A, B, C)] == ["$series-1", "$series-2", "$series-3"]
    marks.toggle(A)
    assert [marks.color(run) for run in (A, B, C)] == ["", "$series-2", "$series-3"]
    marks.toggle(A)
    assert marks.color(A) == "$series-1"
    assert marks.runs == [B, C, A]


def test_all_are_marked_and_then_none() -> None:
    marks = RunMarks()
    marks.toggle(B)
    marks.toggle_all([A, B, C])
    assert len(marks) == 3
    assert marks.color(B) == "$series-1"
    marks.toggle_all([A, B, C])
    assert not marks.runs


def test_more_runs_than_colors_can_be_marked() -> None:
    marks = RunMarks()
    marks.toggle_all(Path(str(number)) for number in range(20))
    assert marks.color(Path("8")) == "$series-1"
    assert marks.color(Path("19")) == "$series-4"


def test_marks_follow_a_renamed_run_and_leave_a_deleted_one() -> None:
    marks = RunMarks()
    marks.toggle(A)
    marks.toggle(B)
    marks.rename(A, C)
    marks.keep({C})
    assert marks.runs == [C]
    assert marks.color(C) == "$series-1"
