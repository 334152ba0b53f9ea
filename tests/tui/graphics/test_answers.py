"""A terminal's answers never become keys, and keys always reach the app."""

from __future__ import annotations

import pytest

from torchdeck.tui.graphics import answers
from torchdeck.tui.graphics.answers import AnswerFilter, Answers

KITTY = "\x1b_Gi=31;OK\x1b\\\x1bP>|kitty(0.35.2)\x1b\\\x1b[6;20;10t\x1b[?62;c"
XTERM = "\x1bP>|XTerm(379)\x1b\\\x1b[6;13;6t\x1b[?63;1;2;4;6;9;15;16;22;28c"


def asked() -> tuple[AnswerFilter, list[Answers]]:
    told: list[Answers] = []
    each = AnswerFilter(told.append)
    each.expect()
    return each, told


def test_answers_are_understood() -> None:
    each, told = asked()
    assert each.feed(KITTY) == ""
    assert told == [Answers(kitty=True, name="kitty(0.35.2)", cell=(10, 20), is_complete=True)]
    each, told = asked()
    assert each.feed(XTERM) == ""
    assert told == [Answers(name="XTerm(379)", cell=(6, 13), sixel=True, is_complete=True)]


@pytest.mark.parametrize(
    ("answer", "is_light"),
    [
        ("\x1b]11;rgb:ffff/ffff/ffff\x1b\\", True),
        ("\x1b]11;rgb:fafa/f7f7/f2f2\x07", True),
        ("\x1b]11;rgb:00/2b/36\x1b\\", False),
        ("", None),
    ],
)
def test_a_light_background_is_told_from_a_dark_one(answer: str, is_light: bool | None) -> None:
    told: list[Answers] = []
    answers = AnswerFilter(told.append)
    answers.expect()
    assert answers.feed(f"a{answer}b\x1b[?1c") == "ab"
    assert told[0].is_light is is_light


def test_an_error_is_no_support() -> None:
    each, told = asked()
    each.feed("\x1b_Gi=31;ENOTSUPPORTED:no\x1b\\\x1b[?1;2c")
    assert told == [Answers(is_complete=True)]


@pytest.mark.parametrize("stream", [KITTY, XTERM])
def test_answers_may_come_in_any_pieces_among_keys(stream: str) -> None:
    for cut in range(len(stream) + 1):
        each, told = asked()
        rest = each.feed("a" + stream[:cut]) + each.feed(stream[cut:] + "b")
        assert rest == "ab"
        assert len(told) == 1
    each, told = asked()
    assert "".join(map(each.feed, stream)) == ""
    assert len(told) == 1


def test_escape_and_alt_reach_the_app_a_moment_later_while_answers_are_expected() -> None:
    for key in ("\x1b", "\x1b[", "\x1bP", "\x1b_"):
        each, _ = asked()
        assert each.feed(key) == ""
        assert each.release() == key
        assert each.release() == ""


@pytest.mark.parametrize(
    "keys", ["x", "\x1b[A", "\x1b[6~", "\x1bOP", "\x1b[<35;4;5M", "\x1b[?2026;2$y", "\x1b[27u", "é"]
)
def test_keys_and_other_reports_are_left_alone(keys: str) -> None:
    each, told = asked()
    assert each.feed(keys) == keys
    assert told == []


def test_without_a_question_escape_is_not_held_but_a_late_answer_still_is_no_key() -> None:
    each = AnswerFilter(lambda answers: None)
    assert each.feed("\x1b") == "\x1b"
    assert each.feed("\x1b[?1;2c" + "x") == "x"


def test_an_answer_that_breaks_off_is_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(answers.time, "monotonic", lambda: now)
    each, _ = asked()
    assert each.feed("\x1b_Gi=31;O") == ""
    assert each.release() == ""
    now = 5.0
    assert each.release() == ""
    assert each.feed("x") == "x"
