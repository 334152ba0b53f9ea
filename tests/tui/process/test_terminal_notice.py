"""Notifications to an attached terminal when a run ends."""

from pathlib import Path

import pytest

from torchdeck.engine.config import NotifyConfig, RunConfig
from torchdeck.engine.runs.reader import RunReader
from torchdeck.engine.runs.writer import RunWriter
from torchdeck.tui.process.terminal_notice import escape_sequences, notice_for


@pytest.mark.parametrize(
    ("way", "environment", "expected"),
    [
        ("off", {}, ""),
        ("bell", {}, "\a"),
        ("osc9", {}, "\x1b]9;run finished\a"),
        ("osc777", {}, "\x1b]777;notify;torchdeck;run finished\a"),
        ("auto", {"TERM": "xterm-256color"}, "\a\x1b]9;run finished\a"),
        ("auto", {"TERM": "foot"}, "\a\x1b]777;notify;torchdeck;run finished\a"),
        ("auto", {"TERM": "xterm-256color", "VTE_VERSION": "7600"}, "\a\x1b]777;notify;torchdeck;run finished\a"),
    ],
)
def test_each_terminal_gets_what_it_understands(way: str, environment: dict[str, str], expected: str) -> None:
    assert escape_sequences(way, "run finished", environment) == expected  # type: ignore[arg-type]


def test_a_name_can_not_end_the_sequence_and_begin_another() -> None:
    sent = escape_sequences("osc9", "run\a\x1b]52;c;evil\a\x9b31m", {})
    assert sent.count("\a") == 1
    assert sent.count("\x1b") == 1
    assert "\x9b" not in sent


@pytest.mark.parametrize(
    ("settings", "status", "is_told"),
    [
        ({}, "finished", False),
        ({"after_minutes": 0.0}, "finished", True),
        ({"after_minutes": 0.0}, "died", True),
        ({"after_minutes": 0.0}, "stopped", False),
        ({}, "stalled", True),
        ({"after_minutes": 0.0, "terminal": "off"}, "finished", False),
    ],
)
def test_the_runs_config_says_what_is_told(
    tmp_path: Path, settings: dict[str, object], status: str, is_told: bool
) -> None:
    config = RunConfig(notify=NotifyConfig.model_validate(settings))
    run = RunWriter.create(tmp_path, config, {})
    run.close("finished")
    assert bool(notice_for(RunReader(run.path), status, {"TERM": "xterm"})) == is_told
