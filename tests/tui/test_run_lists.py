from pathlib import Path

import pytest

from engine.runs.directory import RunSummary
from tui.run_lists import CHECKPOINT_COLUMNS, RUN_COLUMNS, run_row, widths_for


@pytest.mark.parametrize("columns", [RUN_COLUMNS, CHECKPOINT_COLUMNS])
@pytest.mark.parametrize("width", [80, 120, 200])
def test_columns_fill_a_line_and_never_more(columns: tuple, width: int) -> None:
    widths = widths_for(columns, width)
    assert sum(widths) + 2 * len(widths) + 1 == width
    assert all(given >= column.width for given, column in zip(widths, columns, strict=True))


def test_a_run_that_has_measured_nothing_shows_nothing_instead_of_zero() -> None:
    cells = [cell.plain for cell in run_row(RunSummary("r", Path("r"), "preparing", 0, 0, 0))]
    assert cells == ["r", "preparing", "–", "–", "–", "–"]


def test_the_best_value_is_shown_in_its_own_unit() -> None:
    accuracy = RunSummary("r", Path("r"), "finished", 2, 2, 9, best={"metric": "accuracy", "value": 0.5})
    loss = RunSummary("r", Path("r"), "finished", 2, 2, 9, best={"metric": "loss", "value": 0.5})
    assert run_row(accuracy)[4].plain == "50.00%"
    assert run_row(loss)[4].plain == "0.5"
