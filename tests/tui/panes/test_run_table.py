"""The table of runs: a line is made again when what it shows has changed."""

from pathlib import Path

from torchdeck.engine.runs.on_disk.directory import RunSummary
from torchdeck.tui.panes.runs.table import RunTable
from torchdeck.tui.words.runs.run_lists import RunRow


def _summary(epoch: int) -> RunSummary:
    return RunSummary("r", Path("r"), status="finished", epoch=epoch, epochs=9, step=9)


def _drawn(table: RunTable, run: RunSummary) -> str:
    _show(table, run)
    line = table._line(0, 80)
    _show(table)
    return line


def _show(table: RunTable, *runs: RunSummary) -> None:
    table.show(len(runs), lambda index: RunRow(runs[index]), empty=lambda width, height: (), position=lambda index: "")


def test_a_run_that_takes_the_place_of_another_in_memory_has_a_line_of_its_own() -> None:
    table = RunTable()
    assert "1/9" in _drawn(table, _summary(1))
    # Where a summary is dropped, the next one often gets its address.
    for epoch in range(2, 9):
        assert f"{epoch}/9" in _drawn(table, _summary(epoch))
