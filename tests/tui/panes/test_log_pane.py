"""The log pane: sources, levels, search, problems, and the line in full."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_pilot import screen_text, studio, until, until_shown
from textual.app import ComposeResult
from written_runs import run_with_checkpoints

from torchdeck.engine.run_files import LOG_FILE
from torchdeck.tui import stage
from torchdeck.tui.messages import WatchRequested
from torchdeck.tui.panes.log import LogPane
from torchdeck.tui.runs.watched_run import WatchedRun
from torchdeck.tui.stage import Stage, Told
from torchdeck.tui.tailed_file import TailedFile
from torchdeck.tui.words.train.log_text import log_lines, printed_level


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("epoch 1 loss 0.5", "info"),
        ("error rate 3 %", "info"),
        ("UserWarning: lr_scheduler.step() before optimizer.step()", "warning"),
        ("/a/b.py:3: FutureWarning: soon", "warning"),
        ("WARNING:root:low memory", "warning"),
        ("Traceback (most recent call last):", "error"),
        ("ValueError: no such class", "error"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory", "error"),
        ("KeyboardInterrupt", "error"),
        ("[12:00] ERROR loader: gone", "error"),
    ],
)
def test_a_printed_line_has_the_level_that_its_words_say(line: str, level: str) -> None:
    assert printed_level(line) == level


def test_every_kind_of_event_has_words_and_problems_have_a_level() -> None:
    lines = log_lines(
        [
            {"kind": "saved", "time": 1.0, "file": "step-1.pt", "reason": "epoch", "bytes": 4000, "step": 12},
            {"kind": "save_failed", "time": 2.0, "error": "disk full"},
            {"kind": "stalled", "time": 3.0, "text": "no batch for 60 s"},
            {"kind": "of a later version", "time": 4.0, "size": 3},
            {"kind": "bare"},
        ]
    )
    assert [line.level for line in lines] == ["info", "error", "warning", "info", "info"]
    assert "disk full" in lines[1].text
    assert lines[0].more == "step 12"
    assert lines[3].text == "size 3"
    assert (lines[4].at, lines[4].text) == (None, "bare")


async def test_events_output_and_messages_are_sources_with_search_levels_and_problems(tmp_path: Path) -> None:
    run = run_with_checkpoints(tmp_path / "runs", "first", 1, "finished")
    (run / LOG_FILE).write_text("begin\nUserWarning: slow\nmiddle\nValueError: bad\nend\n")
    async with studio(tmp_path, size=(200, 60)) as (app, pilot):
        app.notify("something was done", title="Done")
        app.post_message(WatchRequested(run))
        await until_shown(pilot, "finished")
        await pilot.press("7")
        await until_shown(pilot, "saved step-")
        await pilot.press("v")
        await until_shown(pilot, "ValueError: bad")
        assert "follows · 5 lines" in screen_text(app)
        await pilot.press("l")
        await until_shown(pilot, "▲ and ✗ only · follows · 2 lines")
        await pilot.press("escape", "g", "n")
        await pilot.pause()
        assert "UserWarning: slow" in screen_text(app).split("Line")[-1]
        await pilot.press("slash", *"mid", "enter")
        await until_shown(pilot, "“mid”")
        assert "begin" not in screen_text(app)
        await pilot.press("escape")
        await until_shown(pilot, "begin")
        await pilot.press("v")
        await until_shown(pilot, "something was done")
        await pilot.press("y")
        await until(pilot, lambda: app.clipboard != "")


async def test_at_80_columns_the_sources_take_the_place_of_the_lines(tmp_path: Path) -> None:
    run = run_with_checkpoints(tmp_path / "runs", "first", 1, "finished")
    (run / LOG_FILE).write_text("words of the model\n")
    async with studio(tmp_path, size=(80, 24)) as (app, pilot):
        app.post_message(WatchRequested(run))
        await until_shown(pilot, "finished")
        await pilot.press("7")
        await until_shown(pilot, "saved step-")
        await pilot.press("v")
        sources = app.query_one("#sources")
        await until(pilot, lambda: app.focused is sources)
        await pilot.press("j", "enter")
        await until_shown(pilot, "words of the model")
        assert app.focused is app.query_one("#words")


class _Panes(Stage):
    """A log pane alone."""

    CSS_PATH = Path(stage.__file__).with_name("studio.tcss")

    def __init__(self, log: Path | None, run: WatchedRun) -> None:
        super().__init__()
        self._log, self._run = log, run

    def compose(self) -> ComposeResult:
        yield LogPane(self._log, self._run)


async def test_the_studios_own_log_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    app = _Panes(tmp_path, WatchedRun())
    async with app.run_test(size=(120, 40)) as pilot:
        app.query_one(LogPane).next_view(1)
        await pilot.pause()
        assert "not a regular file" in screen_text(app)


async def test_messages_are_shown_however_many_came_before(tmp_path: Path) -> None:
    app = _Panes(None, WatchedRun())
    async with app.run_test(size=(120, 40)) as pilot:
        for number in range(1_000):
            app.told = [*app.told, Told(0.0, "information", "", f"message {number}")]
        await until_shown(pilot, "message 999")
        app.notify("one more")
        app.clear_notifications()
        await until_shown(pilot, "one more")


async def test_logs_of_runs_that_are_no_longer_watched_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []
    monkeypatch.setattr(TailedFile, "read", lambda file: read.append(file.path))
    app = _Panes(None, watched := WatchedRun())
    async with app.run_test(size=(120, 40)) as pilot:
        for name in ("first", "second"):
            run = run_with_checkpoints(tmp_path, name, 1, "finished")
            watched.watch(run)
            read.clear()
            app.query_one(LogPane).run_changed()
            await pilot.pause()
            assert set(read) == {run / LOG_FILE}
