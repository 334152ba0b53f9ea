import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from torchdeck.engine.runs.on_disk.directory import RunSummary
from torchdeck.tui.words.metric_text import measured_scores
from torchdeck.tui.words.run_lists import (
    Column,
    RunRow,
    best_value,
    cells_of,
    checkpoint_columns,
    columns_for,
    loss_bars,
    run_columns,
    widths_for,
)


@pytest.mark.parametrize(
    "columns", [run_columns(()), run_columns(["accuracy"]), run_columns(["mae", "r2"]), checkpoint_columns("macro_f1")]
)
@pytest.mark.parametrize("width", [80, 100, 120, 150, 200])
def test_columns_fill_a_line_and_never_more(columns: tuple, width: int) -> None:
    fitting = columns_for(columns, width)
    widths = widths_for(fitting, width)
    assert sum(widths) + 2 * len(widths) + 1 == width
    assert all(given >= column.width for given, column in zip(widths, fitting, strict=True))


def test_a_run_that_has_measured_nothing_shows_nothing_instead_of_zero() -> None:
    row = RunRow(RunSummary("r", Path("r"), "preparing", 0, 0, 0))
    cells = [cell.plain for cell in cells_of(row, columns_for(run_columns(()), 80))]
    assert cells == ["r", "preparing", "–", "–", "–", "", "<1m"]


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("resnet-b-20261121-172139-49f4", 80, "resnet-b 49f4"),
        ("resnet-b-20261121-172139-49f4", 120, "resnet-b-20261121-172139-49f4"),
        ("brought-from-elsewhere", 80, "brought-from-elsewhere"),
    ],
)
def test_where_there_is_little_room_a_run_has_its_own_name_without_the_date(name: str, width: int, shown: str) -> None:
    row = RunRow(RunSummary(name, Path(name), "finished", 2, 2, 9))
    assert cells_of(row, columns_for(run_columns(()), width))[0].plain == shown


def test_the_best_value_is_shown_in_its_own_unit() -> None:
    accuracy = RunSummary("r", Path("r"), "finished", 2, 2, 9, best={"metric": "accuracy", "value": 0.5})
    loss = RunSummary("r", Path("r"), "finished", 2, 2, 9, best={"metric": "loss", "value": 0.5})
    assert (best_value(accuracy), best_value(loss)) == ("50.00%", "0.5000")


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ([], ""),
        ([2.0], "▁"),
        ([1.0, 1.0, 1.0], "▁▁▁"),
        ([2.0, 1.0, 0.0], "█▅▁"),
        ([2.0, math.nan, 0.0, math.inf], "█✗▁✗"),
        ([math.nan], "✗"),
        (list(range(100)), "▁▂▄▅▇█"),
    ],
)
def test_losses_are_bars_between_the_smallest_and_the_largest_finite_one(values: list[float], bars: str) -> None:
    assert loss_bars(values, 6) == bars


def measured(name: str, value: float, **metrics: float) -> RunSummary:
    best = {"metric": name, "value": value} if name not in ("accuracy", "mae") else None
    return RunSummary(name, Path(name), "finished", 2, 2, 9, metrics={name: value, "loss": 1.0, **metrics}, best=best)


def cell_under(heading: str, runs: Sequence[RunSummary], columns: Sequence[Column[RunRow]]) -> list[str]:
    (column,) = [column for column in columns if column.title == heading]
    return [column.cell(RunRow(run)).plain for run in runs]


def test_the_heading_of_the_score_is_the_metric_of_the_runs() -> None:
    for run, heading, text in (
        (measured("accuracy", 0.5), "accuracy", "50.00%"),
        (measured("mae", 2.0, r2=0.5), "MAE", "2.000"),
        (measured("r2", 0.5, mae=2.0), "R²", "0.5000"),
        (measured("macro_f1", 0.25, accuracy=0.5), "macro F1", "25.00%"),
    ):
        assert cell_under(heading, [run], run_columns(measured_scores([run]))) == [text]


def test_in_a_list_of_runs_with_several_metrics_each_names_its_own() -> None:
    runs = [measured("accuracy", 0.5), measured("mae", 2.0), RunSummary("r", Path("r"), "preparing", 0, 0, 0)]
    columns = run_columns(measured_scores(runs))
    assert cell_under("score", runs, columns) == ["acc. 50.00%", "MAE 2.000", "–"]
    assert "accuracy" not in [column.title for column in columns]


def test_the_checkpoints_of_a_run_have_its_metric() -> None:
    assert "MAE" in [column.title for column in checkpoint_columns("mae")]
    assert "acc." not in [column.title for column in checkpoint_columns("mae")]
