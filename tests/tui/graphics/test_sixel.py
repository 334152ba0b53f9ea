"""Sixel graphics, decoded by a small emulator in the tests."""

from __future__ import annotations

import re

import numpy as np
import pytest

from torchdeck.tui.graphics import sixel


def decoded(sequence: str) -> np.ndarray:
    """Decode as a VT340 with 256 colors; -1 for pixels that it does not draw."""
    found = re.fullmatch(r'\x1bP[\d;]*q"1;1;(\d+);(\d+)(.*)\x1b\\', sequence, re.DOTALL)
    assert found is not None
    width, height = int(found[1]), int(found[2])
    picture = np.full((height + 6, width, 3), -1)
    palette: dict[int, list[int]] = {}
    color, x, y = 0, 0, 0
    for number, shades, count, character in re.findall(r"#(\d+)((?:;\d+)*)|(?:!(\d+))?([?-~$-])", found[3]):
        if number:
            color = int(number)
            if shades:
                kind, *percent = map(int, shades[1:].split(";"))
                assert kind == 2
                palette[color] = [value * 255 // 100 for value in percent]
        elif character == "$":
            x = 0
        elif character == "-":
            x, y = 0, y + 6
        else:
            for _ in range(int(count or 1)):
                for bit in range(6):
                    if ord(character) - 63 >> bit & 1:
                        assert (picture[y + bit, x] == -1).all()
                        picture[y + bit, x] = palette[color]
                x += 1
            assert x <= width
    assert len(palette) <= 256
    assert (picture[height:] == -1).all()
    return picture[:height]


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (6, 3), (13, 19), (16, 16)])
def test_up_to_256_colors_are_drawn_as_exactly_as_percents_allow(shape: tuple[int, int]) -> None:
    rgb = noise(*shape)
    assert np.abs(decoded(sixel.encode(rgb)) - rgb).max() <= 3


def test_an_enlarged_picture_is_drawn_in_runs() -> None:
    rgb = noise(8, 8).repeat(12, axis=0).repeat(12, axis=1)
    sequence = sixel.encode(rgb)
    assert np.abs(decoded(sequence) - rgb).max() <= 3
    assert len(sequence) < rgb.nbytes / 4


def test_a_photograph_is_drawn_in_colors_near_its_own() -> None:
    y, x = np.mgrid[0:90, 0:120]
    rgb = np.stack([x * 2, y * 2, 128 + 90 * np.sin((x + y) / 20)], axis=2).astype(np.uint8)
    error = np.abs(decoded(sixel.encode(rgb)) - rgb)
    assert error.mean() < 6
    assert error.max() < 40
