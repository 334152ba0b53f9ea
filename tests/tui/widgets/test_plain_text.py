"""Names from files can't control the terminal."""

from __future__ import annotations

import pytest

from torchdeck.tui.plain_text import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("layer1.0.conv1", "layer1.0.conv1"),
        ("Größe 大きさ", "Größe 大きさ"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("two\nlines\r\tand a tab", r"two\nlines\r\tand a tab"),
        ("\x9b2J", r"\x9b2J"),
        ("abc\u202egnp.exe", r"abc\u202egnp.exe"),
        ("\u2028", r"\u2028"),
        ("half \ud800", r"half \ud800"),
        ("[bold]not markup[/]", "[bold]not markup[/]"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_every_control_character_is_gone() -> None:
    everything = "".join(map(chr, range(0x3000)))
    assert not any(
        character != " " and not character.isprintable() and ord(character) < 0xA0
        for character in printable(everything, len(everything))
    )


def test_long_text_is_cut() -> None:
    assert printable("x" * 5000) == "x" * 999 + "…"
    assert printable("abcdef", 4) == "abc…"
