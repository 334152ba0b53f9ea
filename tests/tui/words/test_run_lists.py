"""What the tables of runs and checkpoints show, without a screen."""

import math
from pathlib import Path

import pytest
from plain_markup import plain
from textual.content import Content

from torchdeck.engine.runs.browsing.run_catalog import RunExtent
from torchdeck.engine.runs.on_disk.directory import RunSummary
from torchdeck.engine.runs.saving.checkpoint_index import CheckpointInfo
from torchdeck.tui.widgets.table import layout
from torchdeck.tui.words.runs.run_lists import (
    COLUMN_NAMES,
    DEFAULT_COLUMNS,
    CheckpointRow,
    RunRow,
    best_value,
    checkpoint_columns,
    chosen_columns,
    curve_labels,
    known_columns,
    marks_width,
    run_columns,
    shared_metric,
)


def summary(name: str = "r", **fields: object) -> RunSummary:
    values = {"status": "finished", "epoch": 2, "epochs": 2, "step": 9, **fields}
    return RunSummary(name, Path(name), **values)  # type: ignore[arg-type]


def cell(row: RunRow, column: str, width: int = 20, metric: str = "accuracy") -> str:
    (found,) = [each for each in run_columns(metric) if each.name == column]
    return plain(found.cell(row, width)).rstrip()


@pytest.mark.parametrize("columns", [chosen_columns(DEFAULT_COLUMNS, ""), checkpoint_columns("accuracy", 13)])
@pytest.mark.parametrize("width", [75, 113, 130, 196])
def test_columns_fill_a_line_and_never_more(columns: list, width: int) -> None:
    fitting = layout(columns, width)
    assert sum(fitting.widths) + 2 * (len(fitting.widths) - 1) == width
    assert Content.from_markup(fitting.head()).cell_length == width


def test_at_80_columns_what_matters_most_is_shown() -> None:
    assert [column.name for column in layout(chosen_columns(DEFAULT_COLUMNS, "accuracy"), 75).columns] == [
        "run",
        "status",
        "epoch",
        "best",
        "loss",
        "age",
    ]


def test_the_users_first_columns_are_shown_where_there_is_no_room_for_all() -> None:
    chosen = known_columns(["lr", "note", "run", "tags", "no such column"])
    assert chosen == ("lr", "note", "run", "tags")
    assert [column.name for column in layout(chosen_columns(chosen, ""), 60).columns] == ["lr", "note", "run"]


@pytest.mark.parametrize("value", [None, "run", 3, [], ["nonsense"], [["run"]]])
def test_a_wrong_choice_of_columns_in_the_users_file_is_no_choice(value: object) -> None:
    assert known_columns(value) == DEFAULT_COLUMNS


def test_every_default_column_is_one_of_all() -> None:
    assert set(DEFAULT_COLUMNS) < set(COLUMN_NAMES)


def test_a_run_that_has_measured_nothing_shows_nothing_instead_of_zero() -> None:
    row = RunRow(summary(status="preparing", epoch=0, epochs=0, step=0))
    assert [cell(row, name) for name in ("status", "epoch", "best", "loss", "curve", "model")] == [
        "● preparing",
        "–",
        "–",
        "–",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("resnet-b-20261121-172139-49f4", 20, "resnet-b 49f4"),
        ("resnet-with-a-long-name-20261121-172139-49f4", 20, "resnet-with-a-… 49f4"),
        ("brought-from-elsewhere", 22, "brought-from-elsewhere"),
        ("brought-from-elsewhere", 10, "brought-f…"),
        ("[red]\x1b[2Jevil", 30, "[red]\\x1b[2Jevil"),
    ],
)
def test_a_run_has_its_own_name_and_the_number_that_makes_it_unique(name: str, width: int, shown: str) -> None:
    assert cell(RunRow(summary(name)), "run", width) == shown


def test_tags_stand_behind_the_name_where_there_is_room_for_all_of_them() -> None:
    row = RunRow(summary("base", tags=("paper", "v2")))
    assert cell(row, "run", 30) == "base  #paper #v2"
    assert cell(row, "run", 14) == "base"


def test_the_best_value_is_shown_in_its_own_unit_and_with_its_own_name_where_runs_differ() -> None:
    accuracy = summary(best={"metric": "accuracy", "value": 0.5, "epoch": 1, "step": 1})
    error = summary(best={"metric": "mae", "value": 0.5, "epoch": 1, "step": 1})
    assert (best_value(accuracy), best_value(error)) == ("50.00%", "0.5000")
    assert shared_metric([accuracy, accuracy, summary()]) == "accuracy"
    assert shared_metric([accuracy, error]) == ""
    assert cell(RunRow(error), "best", metric="") == "MAE 0.5000"
    assert cell(RunRow(accuracy), "best", metric="accuracy") == "50.00%"


@pytest.mark.parametrize(
    ("losses", "shown"), [([], ""), ([math.nan], "✗ NaN"), ([math.inf, math.nan], "✗ NaN"), ([1.0, 1.0], "⣀" * 10)]
)
def test_losses_are_a_line_and_a_run_without_a_finite_one_says_so(losses: list[float], shown: str) -> None:
    assert cell(RunRow(summary(), RunExtent(losses, 0, 0, 0)), "curve", 10) == shown


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["slow-20260101-000000-aaaa", "fast-20260101-000000-bbbb"], ["slow", "fast"]),
        (["same-20260101-000000-aaaa", "same-20260101-000000-bbbb"], ["aaaa", "bbbb"]),
        (["a-very-long-name-20260101-000000-aaaa", "b-20260101-000000-bbbb"], ["aaaa", "bbbb"]),
        (["brought-from-elsewhere", "b-20260101-000000-bbbb"], ["brought-from-elsewhere", "b-20260101-000000-bbbb"]),
    ],
)
def test_curves_have_the_shortest_names_that_tell_them_apart(names: list[str], labels: list[str]) -> None:
    assert curve_labels(names, 10) == labels


def test_a_checkpoint_says_what_it_is() -> None:
    info = CheckpointInfo(
        file="step-000000040.pt",
        step=40,
        epoch=2,
        metrics={"loss": 0.5, "accuracy": 0.9},
        reason="epoch",
        bytes=1000,
        modified=0.0,
        is_best=True,
        is_last=True,
        is_pinned=True,
        problem="",
    )
    row = CheckpointRow(info, 60.0)
    line = plain(layout(checkpoint_columns("accuracy", marks_width([row])), 70).line(row))
    assert "★ best · last · ⚑ pinned" in line
    assert "90.00%" in line
    assert plain(layout(checkpoint_columns("mae", 6), 40).line(row)).startswith("   step")
