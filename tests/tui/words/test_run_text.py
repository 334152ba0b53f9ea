"""A run's state as text, at every width."""

import math

import pytest
from plain_markup import plain

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.progress import Progress
from torchdeck.tui.words.train.no_run_text import invitation, preparing, refusal
from torchdeck.tui.words.train.run_text import (
    head_title,
    no_commands,
    notices,
    progress_line,
    status_forms,
    what_trains,
)


def progress(**values: object) -> Progress:
    fields = {
        "epoch": 3,
        "epochs": 10,
        "step": 420,
        "total_steps": 1000,
        "step_in_epoch": 20,
        "steps_per_epoch": 100,
        "samples_per_s": 51234.0,
        "eta_seconds": 725.0,
        "lr": 0.003,
        "phase": "training",
    }
    return Progress(**{**fields, **values})  # type: ignore[arg-type]


def forms(*arguments: object) -> list[str]:
    return [plain(form) for form in status_forms(*arguments)]  # type: ignore[arg-type]


def test_the_line_of_the_tabs_says_how_far_and_how_long() -> None:
    running = forms("run-1", "running", progress(), ("accuracy", 0.9889))
    assert running[0].startswith("● run-1  epoch 3/10 ━")
    assert running[0].endswith("42%  98.89%  12 min 05 s left")
    assert running[3] == "● 42%  12 min 05 s"
    assert running[-1] == "● 42%"
    assert "left" not in forms("run-1", "running", progress(eta_seconds=math.nan))[0]
    assert forms("run-1", "paused", progress())[1] == "● paused 42%"
    assert forms("", "preparing")[0] == "●  preparing"
    assert forms("run-1", "finished", progress(), ("accuracy", 0.9889))[1] == "✓ finished  98.89%"


@pytest.mark.parametrize("status", ["preparing", "running", "paused", "finished", "stopped", "failed", "died"])
def test_the_line_of_the_tabs_fits_beside_them_at_80_columns(status: str) -> None:
    known = forms("run-1", status, progress(step=1000, eta_seconds=86399.0), ("accuracy", 1.0))
    assert any(len(form) <= 27 for form in known)


@pytest.mark.parametrize("width", [40, 56, 78, 118, 198])
def test_the_progress_keeps_its_numbers_at_every_width_and_fills_it(width: int) -> None:
    line = plain(progress_line(progress(), width, is_live=True))
    assert "epoch 3 of 10   step 420" in line
    assert len(line) <= max(width, len("epoch 3 of 10   step 420 of 1,000"))
    if width >= 78:
        assert len(line) == width
        assert line.endswith(" 42%   12 min 05 s left")


def test_a_run_that_ended_has_no_time_left() -> None:
    assert "left" not in progress_line(progress(), 78, is_live=False)


def test_the_title_says_what_trains_where_and_what_it_does_at_the_moment() -> None:
    environment = {"precision": "bf16", "gpu": "NVIDIA H200", "device": "cuda"}
    what = what_trains(load_config("digits"), environment)
    assert what == "cnn · digits · bf16 · NVIDIA H200"
    title = plain(head_title("run-1", "running", progress(phase="evaluating"), what))
    assert title == "run-1  ● running  evaluating  cnn · digits · bf16 · NVIDIA H200"
    assert what_trains(None, {"device": "cpu"}) == "cpu"


def test_the_head_says_why_a_resume_was_not_exact() -> None:
    state = {"exact": False, "not_exact_because": ["another GPU", "seed"]}
    assert [plain(line) for line in notices("running", state, "", 78)] == ["▲ not bit-exact: another GPU; seed"]


def test_names_and_messages_from_files_are_text_and_not_markup() -> None:
    assert plain(head_title("a\x1b[31mb[red]", "failed", progress(), "")).startswith("a\\x1b[31mb[red]  ✗ failed")
    assert plain(notices("failed", {"message": "[bold]x"}, "", 78)[0]) == "[bold]x"


def test_an_error_of_several_lines_keeps_them() -> None:
    lines = notices("failed", {"error": "ValueError: no\n  File net.py, line 3"}, "", 78)
    assert [plain(line) for line in lines[:2]] == ["ValueError: no", "  File net.py, line 3"]


def test_what_can_not_be_written_is_said_first() -> None:
    lines = notices("running", {"write_error": "full", "save_error": "x"}, "", 78)
    assert plain(lines[0]) == "✗ can't write to disk: records are kept in memory"


@pytest.mark.parametrize("status", ["died", "stopped"])
def test_a_run_that_ended_early_says_how_it_goes_on(status: str) -> None:
    assert "press 5 then r to resume from the newest checkpoint" in notices(status, {}, "killed", 78)[-1]


def test_the_invitation_names_what_would_be_started_and_the_keys() -> None:
    lines = [plain(line).strip() for line in invitation(load_config("digits"))(100, 30)]
    assert "S  start the draft: digits" in lines
    assert "cnn on digits, 15 epochs, AdamW, learning rate 0.003" in lines
    assert [line[0] for line in lines if line[1:3] == "  " and line[0] != "○"] == ["S", "3", "5", ":"]


def test_preparing_says_what_is_done() -> None:
    lines = [plain(line).strip() for line in preparing("digits", "reading the data")(80, 20)]
    assert "●  preparing digits" in lines
    assert "reading the data …" in lines


def test_a_refusal_keeps_all_of_its_reason() -> None:
    draw = refusal("\n".join(f"reason {number}" for number in range(1, 10)), "Press 3 to change the settings")
    text = [plain(line) for line in draw(60, 20)]
    assert "   reason 9" in text
    assert text[-1] == "   Nothing was written. Press 3 to change the settings."


def test_a_run_that_can_not_be_changed_any_more_says_what_can_be_done() -> None:
    assert no_commands("finished") == "this run is finished: press S to start another"
    assert no_commands("stopped").endswith("is stopped: press 5 then r to resume from the newest checkpoint")
