import math

import pytest
from rich.cells import cell_len

from torchdeck.engine.config.file import load_config
from torchdeck.engine.runs.reader import Progress
from torchdeck.tui.words.run_text import headline, invitation, last_words, marks, nothing_live, one_line, progress_line


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


def test_the_line_of_the_tabs_says_how_far_and_how_long() -> None:
    assert one_line("running", progress()).plain == "● 42% 12 min 05 s left"
    assert one_line("running", progress(eta_seconds=math.nan)).plain == "● running 42%"
    assert one_line("paused", progress()).plain == "● paused 42%"
    assert one_line("preparing", None).plain == "● preparing"
    assert one_line("finished", progress(), {"accuracy": 0.9889}).plain == "● finished 98.89%"


@pytest.mark.parametrize("status", ["preparing", "running", "paused", "finished", "stopped", "failed", "died"])
def test_the_line_of_the_tabs_fits_beside_them_at_80_columns(status: str) -> None:
    assert one_line(status, progress(step=1000, eta_seconds=86399.0), {"accuracy": 1.0}).cell_len <= 27


@pytest.mark.parametrize("width", [40, 78, 118, 198])
def test_the_progress_keeps_its_numbers_at_every_width(width: int) -> None:
    line = progress_line(progress(), width, is_live=True)
    assert "epoch 3/10  step 420/1,000" in line.plain
    assert "42%" in line.plain
    if width >= 78:
        assert cell_len(line.plain) <= width
        assert "51,234 samples/s" in line.plain
        assert "12 min 05 s left" in line.plain


def test_the_time_left_makes_room_for_the_learning_rate() -> None:
    line = progress_line(progress(epoch=123, epochs=400, step=2810, total_steps=9200, lr=0.002746), 78, is_live=True)
    assert line.plain.endswith("51,234 samples/s  lr 0.002746")
    assert cell_len(line.plain) <= 78


def test_a_run_that_ended_shows_no_rate() -> None:
    assert "samples/s" not in progress_line(progress(), 78, is_live=False).plain


def test_the_headline_says_why_a_resume_was_not_exact() -> None:
    state = {"exact": False, "not_exact_because": ["another GPU", "seed"]}
    assert "not bit-exact: another GPU; seed" in headline("run-1", "running", progress(), state).plain


def test_names_and_messages_from_files_are_text_and_not_markup() -> None:
    line = headline("a\x1b[31mb[red]", "failed", progress(), {"message": "[bold]x"})
    assert line.plain.endswith("a\\x1b[31mb[red]  [bold]x")


def test_an_error_of_several_lines_keeps_them() -> None:
    text = last_words("failed", {"error": "ValueError: no\n  File net.py, line 3"}, [])
    assert text.plain.startswith("ValueError: no\n  File net.py, line 3\n")


def test_a_run_that_died_says_how_it_goes_on() -> None:
    assert "r to resume from the newest checkpoint" in last_words("died", {}, []).plain


def test_a_run_that_was_stopped_says_how_it_goes_on_below_what_was_saved() -> None:
    saved = {"kind": "saved", "file": "step-000000040.pt", "reason": "stop", "bytes": 3_500_000}
    first, second = last_words("stopped", {}, [saved]).plain.splitlines()
    assert first == "saved step-000000040.pt before stopping, 3.5 MB"
    assert second == last_words("stopped", {}, []).plain == "press 5 then r to resume from the newest checkpoint"


def test_the_newest_event_with_words_is_shown() -> None:
    saved = {"kind": "saved", "file": "step-000000040.pt", "reason": "asked", "bytes": 3_500_000, "time": 30.0}
    assert last_words("running", {}, [{"kind": "note", "text": "slow lane"}]).plain == "slow lane"
    alert = {"kind": "gradients", "problem": "vanishing", "text": "gradients vanish in layer1", "time": 29.0}
    assert last_words("running", {}, [alert, saved]).plain == "gradients vanish in layer1"
    assert (
        last_words("running", {}, [{"kind": "note", "text": "slow lane"}, saved]).plain
        == "saved step-000000040.pt on request, 3.5 MB"
    )
    failed = {"kind": "save_failed", "error": "No space left on device"}
    assert "SAVE FAILED, training continues: No space left" in last_words("running", {}, [saved, failed]).plain


def test_marks_stand_where_the_run_was_resumed_or_changed() -> None:
    events = [
        {"kind": "resumed_from", "step": 40},
        {"kind": "set", "key": "optimizer.lr", "step": 60},
        {"kind": "saved", "step": 80},
        {"kind": "paused", "step": 90},
    ]
    assert marks(events) == [(40.0, "R"), (60.0, "L"), (90.0, "P")]


def test_what_was_changed_stays_for_a_while_though_saves_follow() -> None:
    change = {"kind": "set", "key": "training.epochs", "before": 5, "after": 9, "step": 60, "time": 100.0}
    save = {"kind": "saved", "file": "step-000000061.pt", "reason": "epoch", "time": 101.0}
    assert "epochs: 5 → 9 at step 60" in last_words("running", {}, [change, save]).plain
    later = {**save, "time": 130.0}
    assert "step-000000061.pt" in last_words("running", {}, [change, save, later]).plain


def test_the_invitation_names_what_would_be_started() -> None:
    words = invitation(load_config("digits"))[2].plain
    assert "start digits:\n     cnn on digits, 15 epochs, AdamW with learning rate 0.003" in words


def test_a_run_that_can_not_be_changed_any_more_says_what_can_be_done() -> None:
    assert nothing_live("finished") == "this run is finished: press s to start another"
    assert nothing_live("stopped").endswith("is stopped: press 5 then r to resume from the newest checkpoint")
