"""Events of a run as letters over its curves, as one line, and as a list."""

from plain_markup import plain

from torchdeck.tui.words.train.event_text import event_line, event_lines, letters_legend, marks, newest_event

SAVED = {"kind": "saved", "file": "step-000000040.pt", "reason": "asked", "bytes": 3_500_000, "time": 30.0, "step": 40}


def test_marks_stand_where_the_run_was_resumed_or_changed_and_the_legend_says_what_they_mean() -> None:
    events = [
        {"kind": "resumed_from", "step": 40},
        {"kind": "set", "key": "optimizer.lr", "step": 60},
        {"kind": "saved", "step": 80},
        {"kind": "paused", "step": 90},
    ]
    assert marks(events) == [(40.0, "R"), (60.0, "L"), (90.0, "P")]
    assert plain(letters_legend(events)) == "R resumed  L learning rate  P paused"
    assert letters_legend([SAVED]) == ""


def test_the_newest_event_with_words_is_shown() -> None:
    assert plain(newest_event([{"kind": "note", "text": "slow lane"}])) == "· slow lane"
    alert = {"kind": "gradients", "problem": "vanishing", "text": "gradients vanish in layer1", "time": 29.0}
    assert plain(newest_event([alert, SAVED])) == "▲ gradients vanish in layer1"
    assert plain(newest_event([{"kind": "note", "text": "slow lane"}, SAVED])) == (
        "↓ saved step-000000040.pt on request, 3.5 MB"
    )
    failed = {"kind": "save_failed", "error": "No space left on device"}
    assert "SAVE FAILED, training continues: No space left" in plain(newest_event([SAVED, failed]))
    assert newest_event([]) == newest_event([{"kind": "ended"}]) == ""


def test_what_was_changed_stays_for_a_while_though_saves_follow() -> None:
    change = {"kind": "set", "key": "training.epochs", "before": 5, "after": 9, "step": 60, "time": 100.0}
    save = {"kind": "saved", "file": "step-000000061.pt", "reason": "epoch", "time": 101.0}
    assert "epochs: 5 → 9 at step 60" in plain(newest_event([change, save]))
    later = {**save, "time": 130.0}
    assert "step-000000061.pt" in plain(newest_event([change, save, later]))


def test_the_list_has_steps_letters_and_the_whole_text_newest_first_and_one_save() -> None:
    events = [
        {"kind": "set", "key": "optimizer.lr", "before": 0.1, "after": 0.01, "step": 20},
        {"kind": "saved", "file": "step-000000030.pt", "reason": "epoch", "step": 30},
        {"kind": "note", "text": "word " * 12, "step": 35},
        SAVED,
    ]
    lines = [plain(line) for line in event_lines(events, 40, 20)]
    assert lines == [
        "       40 ↓ saved step-000000040.pt on",
        "            request, 3.5 MB",
        "       35 · word word word word word",
        "            word word word word word",
        "            word word",
        "       20 L learning rate: 0.1 → 0.01 at",
        "            step 20",
    ]
    assert all(len(line) <= 40 for line in lines)
    assert len(event_lines(events, 40, 2)) == 2


def test_texts_from_files_are_text_and_not_markup() -> None:
    assert plain(newest_event([{"kind": "note", "text": "a\x1b[31mb[red]"}])) == "· a\\x1b[31mb[red]"


def test_the_end_of_a_run_is_a_word_in_the_log_and_its_error_follows() -> None:
    assert event_line({"kind": "ended", "time": 1.0, "status": "finished", "error": None}) == "finished"
    failed = {"kind": "ended", "time": 1.0, "status": "failed", "error": "the loss is nan"}
    assert event_line(failed) == "failed: the loss is nan"


def test_a_kind_without_words_shows_the_fields_that_it_has() -> None:
    assert event_line({"kind": "later", "time": 1.0, "count": 3, "reason": None}) == "count 3"
