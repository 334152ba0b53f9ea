"""What differs between runs, as rows."""

import math

from plain_markup import plain
from textual.content import Content

from torchdeck.tui.words.runs.run_differences import (
    ComparedRun,
    Difference,
    columns_that_fit,
    difference_line,
    differences,
    head_line,
)


def run(
    label: str = "a", best: tuple[str, float] | None = None, seconds: float = math.nan, **settings: object
) -> ComparedRun:
    dotted = {key.replace("__", "."): value for key, value in settings.items()}
    return ComparedRun(label, "$series-1", dotted, best, seconds)


def test_only_settings_that_differ_are_listed_and_a_name_is_no_difference() -> None:
    rows = differences(
        [
            run(name="a", optimizer__lr=0.001, model__name="cnn", seed=1),
            run(name="b", optimizer__lr=0.01, model__name="cnn"),
        ]
    )
    assert rows == [Difference("optimizer.lr", ("0.001", "0.01")), Difference("seed", ("1", "–"))]


def test_the_best_result_is_the_largest_or_the_smallest_as_the_metric_has_it() -> None:
    accuracy = differences([run(best=("accuracy", 0.5)), run(best=("accuracy", 0.75)), run()])
    assert accuracy == [Difference("best accuracy", ("50.00%", "75.00%", "–"), 1, is_result=True)]
    (error,) = differences([run(best=("mae", 0.5)), run(best=("mae", 0.75))])
    assert error.best == 0
    assert differences([run(best=("mae", 0.5)), run(best=("mae", 0.5))])[0].best == -1


def test_runs_of_different_metrics_have_a_line_each() -> None:
    rows = differences([run(best=("mae", 0.5)), run(best=("accuracy", 0.75), seconds=61)])
    assert [row.key for row in rows] == ["best MAE", "best accuracy", "time"]
    assert rows[-1].values == ("–", "1 min 01 s")


def test_a_line_is_as_wide_as_the_panel_whatever_is_in_it() -> None:
    row = Difference("optimizer.parameter_groups.weight_decay", ("[red]" * 9, "b\x1b[2J", "0.1"), 2)
    for width in (40, 62, 81):
        assert Content.from_markup(difference_line(row, width)).cell_length <= width
        head = head_line([run("[bold]x" * 5), run("b"), run("c")], width)
        assert Content.from_markup(head).cell_length <= width
    assert "★ 0.1" in plain(difference_line(row, 81))


def test_as_many_runs_are_shown_as_have_room() -> None:
    assert [columns_that_fit(8, width) for width in (30, 62, 200)] == [1, 4, 8]
