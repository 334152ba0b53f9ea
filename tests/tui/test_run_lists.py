import math
from pathlib import Path

import pytest

from torchdeck.engine.runs.on_disk.directory import RunSummary
from torchdeck.tui.words.run_lists import (
    CHECKPOINT_COLUMNS,
    RUN_COLUMNS,
    RunRow,
    best_value,
    cells_of,
    columns_for,
    loss_bars,
    widths_for,
)


@pytest.mark.parametrize("columns", [RUN_COLUMNS, CHECKPOINT_COLUMNS])
@pytest.mark.parametrize("width", [80, 100, 120, 150, 200])
def test_columns_fill_a_line_and_never_more(columns: tuple, width: int) -> None:
    fitting = columns_for(columns, width)
    widths = widths_for(fitting, width)
    assert sum(widths) + 2 * len(widths) + 1 == width
    assert all(given >= column.width for given, column in zip(widths, fitting, strict=True))


def test_a_run_that_has_measured_nothing_shows_nothing_instead_of_zero() -> None:
    row = RunRow(RunSummary("r", Path("r"), "preparing", 0, 0, 0))
    cells = [cell.plain for cell in cells_of(row, columns_for(RUN_COLUMNS, 80))]
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
    assert cells_of(row, columns_for(RUN_COLUMNS, width))[0].plain == shown


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
