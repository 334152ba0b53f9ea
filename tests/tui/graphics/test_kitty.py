"""Kitty's graphics protocol, decoded by an emulator in the tests."""

from __future__ import annotations

import itertools
import unicodedata

import numpy as np
import pytest
from kitty_terminal import KittyTerminal
from rich.color import ColorSystem
from textual.strip import Segment

from torchdeck.tui.graphics import kitty
from torchdeck.tui.graphics.pixels import png


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (8, 8), (33, 57), (120, 90)])
def test_an_image_arrives_pixel_for_pixel(shape: tuple[int, int]) -> None:
    terminal, rgb = KittyTerminal(), noise(*shape)
    terminal.take(kitty.transmit(7, png(rgb), 12, 5))
    assert np.array_equal(terminal.images[7], rgb)
    assert terminal.placements[7] == (12, 5)


def test_an_image_can_be_given_another_size_and_be_deleted() -> None:
    terminal = KittyTerminal()
    terminal.take(kitty.transmit(7, png(noise(8, 8)), 12, 5) + kitty.place(7, 20, 9))
    assert terminal.placements[7] == (20, 9)
    terminal.take(kitty.delete([7]))
    assert terminal.images == {}


def test_rows_and_columns_are_the_combining_characters_of_the_protocol() -> None:
    # The first, the second and the last of gen/rowcolumn-diacritics.txt.
    assert [ord(kitty.DIACRITICS[number]) for number in (0, 1, -1)] == [0x305, 0x30D, 0x1D244]
    assert len(set(kitty.DIACRITICS)) == 297
    assert {unicodedata.combining(character) for character in kitty.DIACRITICS} == {230}
    assert kitty.placeholders(7, 1, 2) == "\U0010eeee\u030d\u0305\U0010eeee\u030d\u030d"
    assert kitty.placeholders(2 << 24, 0, 1) == "\U0010eeee\u0305\u0305\u030e"


def test_a_placeholder_is_one_cell_to_textual() -> None:
    assert Segment(kitty.placeholders(2 << 24, 3, 40)).cell_length == 40


def test_numbers_are_told_by_the_color_in_256_colors_too() -> None:
    for image in itertools.islice(kitty.numbers(truecolor=False), 500):
        sent = kitty.color_of(image, truecolor=False).downgrade(ColorSystem.EIGHT_BIT)
        assert sent.number == image & 255
    for image in itertools.islice(kitty.numbers(truecolor=True), 500):
        assert int.from_bytes(bytes(kitty.color_of(image, truecolor=True).triplet), "big") == image


@pytest.mark.parametrize("truecolor", [True, False])
def test_numbers_do_not_come_again_soon(truecolor: bool) -> None:
    numbers = list(itertools.islice(kitty.numbers(truecolor=truecolor), 50_000))
    assert len(set(numbers)) == len(numbers)
    assert 0 < min(numbers) <= max(numbers) < 1 << 32


def test_tmux_is_asked_to_pass_each_command_on() -> None:
    commands = kitty.transmit(7, png(noise(60, 60)), 12, 5)
    passed = kitty.through_tmux(commands)
    assert passed.count("\x1bPtmux;") == commands.count("\x1b_G")
    unwrapped = passed.replace("\x1bPtmux;", "").replace("\x1b\x1b\\\x1b\\", "\x1b\\").replace("\x1b\x1b", "\x1b")
    assert unwrapped == commands
