"""The log pane: sources, levels, search, problems, and the line in full."""

from __future__ import annotations

from pathlib import Path

import pytest
from studio_pilot import screen_text, studio, until, until_shown
from written_runs import run_with_checkpoints

from torchdeck.engine.run_files import LOG_FILE
from torchdeck.tui.messages import WatchRequested
from torchdeck.tui.words.log_text import log_lines, printed_level


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
        await pilot.press("6")
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
        await pilot.press("6")
        await until_shown(pilot, "saved step-")
        await pilot.press("v")
        sources = app.query_one("#sources")
        await until(pilot, lambda: app.focused is sources)
        await pilot.press("j", "enter")
        await until_shown(pilot, "words of the model")
        assert app.focused is app.query_one("#words")
