"""A frame is reduced to what the terminal does not show yet, and the screen is the same."""

from __future__ import annotations

import random

import pyte
import pytest

from torchdeck.tui.process.screen_diff import ScreenDiff

COLUMNS, LINES = 40, 8


def cells(screen: pyte.Screen) -> list[list[object]]:
    return [[screen.buffer[row][column] for column in range(COLUMNS)] for row in range(LINES)]


class Terminal:
    """Two terminals: one gets every frame, the other one what is left of it."""

    def __init__(self) -> None:
        self.full, self.reduced = (pyte.Screen(COLUMNS, LINES) for _ in range(2))
        self._streams = pyte.Stream(self.full), pyte.Stream(self.reduced)
        self.diff = ScreenDiff()

    def show(self, frame: str) -> str:
        left = self.diff.reduce(frame)
        self._streams[0].feed(frame)
        self._streams[1].feed(left)
        assert cells(self.full) == cells(self.reduced)
        return left


def line(row: int, column: int, *parts: tuple[str, str]) -> str:
    drawn = "".join(f"\x1b[{codes}m{text}\x1b[0m" if codes else text for text, codes in parts)
    # A line end on the last line would scroll; Textual leaves it out there.
    return f"\x1b[{row + 1};{column + 1}H{drawn}" + "\n" * (row < LINES - 1)


def test_what_is_shown_already_is_not_sent_again() -> None:
    terminal = Terminal()
    frame = line(1, 2, ("loss", "1;38;2;255;138;76"), (" 0.5", ""))
    assert "loss" in terminal.show(frame)
    assert terminal.show(frame) == ""


def test_only_the_cells_that_differ_are_sent() -> None:
    terminal = Terminal()
    terminal.show(line(0, 0, ("epoch 12 of 15          step 940", "38;5;7")))
    left = terminal.show(line(0, 0, ("epoch 13 of 15          step 941", "38;5;7")))
    assert left == "\x1b[1;8H3\x1b[1;32H1"


def test_attributes_are_changed_and_not_set_anew() -> None:
    terminal = Terminal()
    first = terminal.show(line(0, 0, ("a", "38;2;1;2;3;48;2;9;9;9"), ("b", "38;2;4;5;6;48;2;9;9;9"), ("c", "0")))
    assert first == "\x1b[1;1H\x1b[0;38;2;1;2;3;48;2;9;9;9ma\x1b[38;2;4;5;6mb\x1b[0mc"
    assert terminal.show(line(1, 0, ("d", "1;31"), ("e", "31"), ("f", "4;31;44"))) == (
        "\x1b[2;1H\x1b[1;31md\x1b[0;31me\x1b[4;44mf"
    )


def test_after_a_picture_or_another_size_everything_is_sent_again() -> None:
    terminal = Terminal()
    frame = line(0, 0, ("text", ""))
    terminal.show(frame)
    terminal.diff.forget()
    assert "text" in terminal.show(frame)


@pytest.mark.parametrize(
    "text", ["\x1b]8;;http://x\x1b\\link", "\x1bPq#0\x1b\\", "\x1b[2J", "before any move", "\x07"]
)
def test_what_is_no_frame_is_passed_on_and_makes_the_screen_unknown(text: str) -> None:
    diff = ScreenDiff()
    frame = line(0, 0, ("text", ""))
    diff.reduce(frame)
    assert diff.reduce(text) == text
    assert "text" in diff.reduce(frame)


def test_wide_and_combining_characters_keep_their_cells() -> None:
    terminal = Terminal()
    terminal.show(line(0, 0, ("東京 tower", "32"), ("e\u0301", "")))
    terminal.show(line(0, 0, ("東都 tower", "32")))
    terminal.show(line(0, 1, ("x", "")))


@pytest.mark.parametrize("seed", range(20))
def test_random_frames_look_as_if_they_had_been_sent_in_full(seed: int) -> None:
    dice = random.Random(seed)
    terminal = Terminal()
    styles = ["", "1", "38;2;1;2;3", "48;5;17", "1;38;5;9;48;2;7;7;7", "4;31;42", "90;103", "2", "7"]
    sent = kept = 0
    for _ in range(60):
        frame = ""
        for _ in range(dice.randint(1, 4)):
            column = dice.randint(0, COLUMNS - 12)
            parts = [("".join(dice.choices("ab ━▲é", k=dice.randint(1, 4))), dice.choice(styles)) for _ in range(3)]
            frame += line(dice.randint(0, LINES - 1), column, *parts)
        frame += f"\x1b[{dice.randint(1, LINES)};{dice.randint(1, COLUMNS)}H"
        sent += len(frame)
        kept += len(terminal.show(frame))
    assert kept < sent
