"""The graphics chosen from the terminal's answers and the environment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from torchdeck.tui.commands import studio
from torchdeck.tui.graphics.answers import Answers
from torchdeck.tui.graphics.support import Support, ask_tmux, find_support, may_be_asked

CELL = (10, 20)


def way(answers: Answers, **environment: str) -> str:
    return find_support("auto", environment, answers).way


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("kitty(0.35.2)", "kitty"),
        ("kitty(1.0.0)", "kitty"),
        ("ghostty 1.1.3", "kitty"),
        # Shows kitty's graphics, but no Unicode placeholders.
        ("kitty(0.26.5)", "blocks"),
        ("Konsole 22.12.3", "blocks"),
    ],
)
def test_kitty_graphics_need_placeholders(name: str, expected: str) -> None:
    assert way(Answers(kitty=True, name=name)) == expected


def test_kitty_over_ssh_is_known_by_its_answers_alone() -> None:
    assert way(Answers(kitty=True), TERM="xterm-kitty") == "kitty"
    assert way(Answers(kitty=False, name="kitty(0.35.2)"), TERM="xterm-kitty") == "blocks"


def test_an_unknown_terminal_shows_blocks() -> None:
    assert way(Answers()) == "blocks"
    assert way(Answers(name="foo(1)", cell=CELL, is_complete=True), TERM="xterm-256color") == "blocks"


def test_without_colors_there_are_blocks() -> None:
    assert way(Answers(kitty=True, name="kitty(0.35.2)"), NO_COLOR="1") == "blocks"


def test_what_is_wished_for_is_taken() -> None:
    assert find_support("blocks", {}, Answers(kitty=True, name="kitty(0.35.2)")).way == "blocks"
    assert find_support("kitty", {}, Answers()) == Support("kitty")
    assert find_support("kitty", {"TMUX": "x"}, Answers()) == Support("kitty", in_tmux=True)


@pytest.mark.parametrize(
    ("tmux", "expected"),
    [
        ("on kitty(0.35.2)", "kitty"),
        ("all xterm-kitty", "kitty"),
        ("1 kitty(0.35.2)", "kitty"),
        ("on xterm-256color", "blocks"),
        ("off kitty(0.35.2)", "blocks"),
        ("0 kitty(0.35.2)", "blocks"),
        (" kitty(0.35.2)", "blocks"),
        ("", "blocks"),
    ],
)
def test_in_tmux_pictures_need_allow_passthrough_and_kitty_around_it(tmux: str, expected: str) -> None:
    support = find_support("auto", {"TMUX": "/tmp/tmux"}, Answers(), tmux)
    assert (support.way, support.in_tmux) == (expected, expected == "kitty")


@pytest.mark.parametrize(
    "environment",
    [{"TERM": "linux"}, {"TERM": "dumb"}, {}, {"TERM": "xterm", "STY": "1.pts"}, {"TERM": "tmux-256color"}],
)
def test_what_would_print_a_question_is_not_asked(environment: dict[str, str]) -> None:
    assert not may_be_asked("auto", environment)
    assert may_be_asked("auto", {"TERM": "xterm-256color"})


def test_tmux_is_asked_with_a_time_limit_and_may_be_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ask_tmux() == ""
    program = tmp_path / "tmux"
    program.write_text("#!/bin/sh\necho 'on kitty(0.35.2)'\n")
    os.chmod(program, 0o755)
    assert ask_tmux() == "on kitty(0.35.2)"
    program.write_text("#!/bin/sh\nexit 1\n")
    assert ask_tmux() == ""


def test_sixel_is_shown_where_the_size_of_a_cell_is_known() -> None:
    assert way(Answers(sixel=True, name="XTerm(379)", cell=CELL)) == "sixel"
    assert way(Answers(sixel=True, cell=CELL)) == "sixel"
    assert way(Answers(sixel=True, name="XTerm(379)")) == "blocks"


@pytest.mark.parametrize("name", ["iTerm2 3.5.2", "WezTerm 20240203-110809-5046fc22"])
def test_terminals_with_iterm2_images_are_known_by_their_names(name: str) -> None:
    # They also have sixel, which has fewer colors.
    assert way(Answers(name=name, sixel=True, kitty=True, cell=CELL)) == "iterm"


def test_iterm2_is_known_by_the_variable_that_ssh_carries() -> None:
    assert way(Answers(), LC_TERMINAL="iTerm2") == "iterm"


def test_vs_code_shows_pictures_only_where_they_are_switched_on() -> None:
    assert way(Answers(name="xterm.js(5.6.0)", sixel=True, cell=CELL)) == "iterm"
    assert way(Answers(name="xterm.js(5.6.0)", cell=CELL)) == "blocks"
    assert way(Answers(sixel=True, cell=CELL), TERM_PROGRAM="vscode") == "iterm"


def test_a_way_that_does_not_exist_is_refused_with_those_that_do() -> None:
    for result in (
        CliRunner().invoke(studio, ["--graphics", "ascii"]),
        CliRunner().invoke(studio, [], env={"TORCHDECK_GRAPHICS": "ascii"}),
    ):
        assert result.exit_code == 2
        assert "'ascii' is not one of 'auto', 'kitty', 'sixel', 'iterm', 'blocks'" in result.output
