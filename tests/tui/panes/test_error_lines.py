"""An error in a panel is wrapped to the panel's width: every word of it is seen, and no room is left unused."""

from pathlib import Path
from typing import cast

import pytest
from studio_pilot import screen_text, until_shown
from textual.app import ComposeResult
from textual.widget import Widget

from torchdeck.engine.config.file import load_config
from torchdeck.engine.preflight.inspection import Inspection
from torchdeck.tui import stage
from torchdeck.tui.drawing import cells, marked
from torchdeck.tui.panes.data.numbers import NumbersView
from torchdeck.tui.panes.model.memory import MemoryPanel
from torchdeck.tui.process.worker_process import WorkerError, WorkerProcess
from torchdeck.tui.stage import Stage

WORDS = [f"word{number}" for number in range(30)]


class _Panel(Stage):
    CSS_PATH = Path(stage.__file__).with_name("studio.tcss")

    def __init__(self, panel: Widget) -> None:
        super().__init__()
        self._panel = panel

    def compose(self) -> ComposeResult:
        yield self._panel


class _Failing:
    async def call(self, function: str, *arguments: object) -> object:
        raise WorkerError(" ".join(WORDS))


def _lines(app: Stage) -> list[str]:
    """The lines of the error, without the panel's frame."""
    lines = [line.strip("│ ") for line in screen_text(app).splitlines() if "word" in line]
    assert lines[0].startswith("✗ ")
    return [lines[0].removeprefix("✗ "), *lines[1:]]


@pytest.mark.parametrize("width", [50, 120, 200])
async def test_every_word_of_an_error_of_the_memory_estimate_is_seen(width: int) -> None:
    panel = MemoryPanel(cast(WorkerProcess, _Failing()))
    app = _Panel(panel)
    async with app.run_test(size=(width, 24)) as pilot:
        panel.set_subject(load_config("digits"), cast(Inspection, object()))
        await until_shown(pilot, "word29")
        lines = _lines(app)
        assert " ".join(lines).split() == WORDS
        assert len(lines[0]) > width - 16


@pytest.mark.parametrize("width", [50, 200])
async def test_every_word_of_a_failed_measurement_is_seen_at_another_size_too(width: int) -> None:
    panel = NumbersView()
    app = _Panel(panel)
    async with app.run_test(size=(30, 24)) as pilot:
        panel.say_wrong(" ".join(WORDS))
        await pilot.resize_terminal(width, 24)
        await until_shown(pilot, "word29")
        lines = _lines(app)
        assert " ".join(lines).split() == WORDS
        assert len(lines[0]) > width - 16


def test_marked_lines_stand_under_the_words_of_the_first() -> None:
    assert marked("[$error]✗[/]", "one two three", 11, "$error") == [
        "[$error]✗[/] [$error]one two[/]",
        "  [$error]three[/]",
    ]
    assert marked("✗", "", 10) == []
    assert all(cells(line) <= 20 for line in marked("[$error]▲[/]", "word " * 30, 20))
