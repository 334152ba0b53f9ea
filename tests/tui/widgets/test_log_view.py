"""The end of a growing file, read only while it is visible."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.widgets import ContentSwitcher, Log, Static

from torchdeck.tui.widgets.log_view import LogView, readable_line


def shown(view: LogView) -> list[str]:
    return [line for line in view.query_one(Log).lines if line]


def unfinished(view: LogView) -> str:
    return str(view.query_one("#unfinished", Static).content) if view.has_class("-unfinished") else ""


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


async def test_follows_what_is_added(app_with, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("first\nsecond\n")
    view = LogView()
    async with app_with(view).run_test() as pilot:
        view.follow(log)
        assert shown(view) == ["first", "second"]
        with log.open("a") as file:
            file.write("third\nfour")
            file.flush()
            await pilot.pause(0.6)
            assert shown(view) == ["first", "second", "third"]
            assert unfinished(view) == "four"
            file.write("th\n")
            file.flush()
            await pilot.pause(0.6)
        assert shown(view) == ["first", "second", "third", "fourth"]
        assert unfinished(view) == ""


async def test_a_progress_bar_is_one_line(app_with, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    view = LogView()
    async with app_with(view).run_test():
        view.follow(log)
        with log.open("ab", buffering=0) as file:
            for percent in range(0, 101, 20):
                file.write(b"\r%3d%%" % percent)
                view.read()
                assert unfinished(view) == f"{percent:3d}%"
            file.write(b"\ndone\n")
        view.read()
        assert shown(view) == ["100%", "done"]


async def test_a_character_that_is_cut_in_two_is_put_together(app_with, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    view = LogView()
    async with app_with(view).run_test():
        view.follow(log)
        for byte in "größe ✓\n".encode():
            with log.open("ab") as file:
                file.write(bytes([byte]))
            view.read()
        assert shown(view) == ["größe ✓"]


async def test_a_file_that_is_not_there_yet(app_with, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    view = LogView()
    async with app_with(view).run_test():
        view.follow(log)
        view.read()
        assert shown(view) == []
        log.write_text("now\n")
        view.read()
        assert shown(view) == ["now"]


async def test_a_file_that_cannot_be_read_is_named(app_with, tmp_path: Path) -> None:
    view = LogView()
    async with app_with(view).run_test():
        view.follow(tmp_path)
        assert "not a regular file" in unfinished(view)


async def test_another_file_starts_anew(app_with, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("a\nopen end")
    (tmp_path / "b.log").write_text("b\n")
    view = LogView()
    async with app_with(view).run_test():
        view.follow(tmp_path / "a.log")
        view.follow(tmp_path / "b.log")
        assert shown(view) == ["b"]
        assert unfinished(view) == ""
        view.follow(None)
        assert shown(view) == []


async def test_a_file_that_was_replaced_or_cut_starts_anew(app_with, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("one\ntwo\n")
    view = LogView()
    async with app_with(view).run_test():
        view.follow(log)
        (tmp_path / "new").write_text("a much longer replacement\n")
        os.replace(tmp_path / "new", log)
        view.read()
        assert shown(view) == ["a much longer replacement"]
        log.write_text("cut\n")
        view.read()
        assert shown(view) == ["cut"]


async def test_only_the_end_of_a_long_file_is_read(app_with, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("".join(f"line number {index}\n" for index in range(100_000)))
    view = LogView(max_lines=1000)
    async with app_with(view).run_test() as pilot:
        view.follow(log)
        await pilot.pause()
        assert len(shown(view)) == 1000
        assert shown(view)[-1] == "line number 99999"
        assert all(line.startswith("line number ") for line in shown(view))


async def test_nothing_is_read_while_hidden(tmp_path: Path) -> None:
    class Panes(App[None]):
        def compose(self) -> ComposeResult:
            with ContentSwitcher(initial="other"):
                yield LogView(id="log")
                yield Static("other", id="other")

    log = tmp_path / "engine.log"
    app = Panes()
    async with app.run_test() as pilot:
        view = app.query_one(LogView)
        view.follow(log)
        log.write_text("while hidden\n")
        await asyncio.sleep(0.6)
        assert shown(view) == []
        app.query_one(ContentSwitcher).current = "log"
        await pilot.pause(0.3)
        assert shown(view) == ["while hidden"]
        app.query_one(ContentSwitcher).current = "other"
        await pilot.pause()
        log.write_text("while hidden\nagain\n")
        await asyncio.sleep(0.6)
        assert shown(view) == ["while hidden"]


async def test_a_log_that_does_not_grow_is_read_less_often(app_with, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text("first\n")
    view = LogView()
    async with app_with(view).run_test() as pilot:
        view.follow(log)
        while view._poll.is_often:
            await pilot.pause(0.1)
        with log.open("a") as file:
            file.write("second\n")
        while not view._poll.is_often:
            await pilot.pause(0.1)
