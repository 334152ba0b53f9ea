"""The end of a growing file, as a terminal would have shown it."""

import os
from pathlib import Path

import pytest

from torchdeck.tui.tailed_file import TailedFile, readable_line


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"step 3", "step 3"),
        (b"\r 10%|#  |\r 20%|## |", " 20%|## |"),
        (b" 30%|###|\r", " 30%|###|"),
        (b"\x1b[1;31mred\x1b[0m and \x1b]0;title\x07plain", "red and plain"),
        (b"\x1b[2Jclear \x1b(B\x07bell", "clear bell"),
        (b"a\tb", "a       b"),
        ("größe ✓".encode(), "größe ✓"),
        (b"broken \xff utf-8", "broken \ufffd utf-8"),
        (b"[bold]not markup", "[bold]not markup"),
        (b"x" * 5000, "x" * 2000 + "…"),
    ],
)
def test_a_line_as_a_terminal_would_have_left_it(line: bytes, text: str) -> None:
    assert readable_line(line) == text


def test_what_is_added_is_read_and_a_line_may_come_in_pieces(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("first\nsecond\n")
    tailed = TailedFile(log)
    assert tailed.read()
    assert tailed.lines == ["first", "second"]
    assert not tailed.read()
    for text, lines, unfinished in (("third\nfour", 3, "four"), ("th\n", 4, "")):
        with log.open("a") as file:
            file.write(text)
        assert tailed.read()
        assert (len(tailed.lines), tailed.unfinished) == (lines, unfinished)
    assert tailed.lines[-1] == "fourth"


def test_a_progress_bar_is_one_line(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    tailed = TailedFile(log)
    with log.open("ab", buffering=0) as file:
        for percent in range(0, 101, 20):
            file.write(b"\r%3d%%" % percent)
            tailed.read()
            assert tailed.unfinished == f"{percent:3d}%"
        file.write(b"\ndone\n")
    tailed.read()
    assert tailed.lines == ["100%", "done"]


def test_a_character_that_is_cut_in_two_is_put_together(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    tailed = TailedFile(log)
    for byte in "größe ✓\n".encode():
        with log.open("ab") as file:
            file.write(bytes([byte]))
        tailed.read()
    assert tailed.lines == ["größe ✓"]


def test_a_file_that_is_not_there_yet_is_no_problem(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    tailed = TailedFile(log)
    assert not tailed.read()
    assert tailed.problem == ""
    log.write_text("now\n")
    tailed.read()
    assert tailed.lines == ["now"]


def test_what_is_no_file_is_said(tmp_path: Path) -> None:
    folder = TailedFile(tmp_path)
    assert folder.read()
    assert "not a regular file" in folder.problem
    os.mkfifo(tmp_path / "fifo")
    fifo = TailedFile(tmp_path / "fifo")
    fifo.read()
    assert "not a regular file" in fifo.problem


def test_a_file_that_was_replaced_or_cut_starts_anew(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("one\ntwo\n")
    tailed = TailedFile(log)
    tailed.read()
    (tmp_path / "new").write_text("a much longer replacement\n")
    os.replace(tmp_path / "new", log)
    tailed.read()
    assert tailed.lines == ["a much longer replacement"]
    log.write_text("cut\n")
    tailed.read()
    assert tailed.lines == ["cut"]


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("".join(f"line number {index}\n" for index in range(100_000)))
    tailed = TailedFile(log)
    tailed.read()
    assert tailed.lines[-1] == "line number 99999"
    assert len(tailed.lines) <= 5000
    assert all(line.startswith("line number ") for line in tailed.lines)
