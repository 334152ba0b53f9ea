"""Panels say in their frame what is inside, and paint only what has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from textual.color import Color

from torchdeck.tui.widgets.panel import Box, FocusableLines, Lines, nothing_here

Sees = Callable[[Any], list[str]]
Look = Callable[..., Any]


async def test_the_title_and_the_subtitle_stand_in_the_frame(look_with: Look, lines_of: Sees) -> None:
    panel = Lines("Runs [$text-disabled]4[/]", lambda width, height: ["first", "second"])
    app = look_with(panel)
    async with app.run_test(size=(40, 6)) as pilot:
        panel.entitle(subtitle="[b]1[/] of 4")
        await pilot.pause()
        shown = lines_of(app)
        assert "─ Runs 4 ─" in shown[0] and "─ 1 of 4 ─" in shown[-1]
        assert [line.strip("│ ") for line in shown[1:3]] == ["first", "second"]
        panel.entitle("Trials")
        await pilot.pause()
        assert "─ Trials ─" in lines_of(app)[0] and "─ 1 of 4 ─" in lines_of(app)[-1]
        panel.entitle("", "")
        await pilot.pause()
        assert lines_of(app)[0] == "╭" + "─" * 38 + "╮"


async def test_lines_are_made_for_the_size_and_what_has_no_room_is_left_out(look_with: Look, lines_of: Sees) -> None:
    panel = Lines("", lambda width, height: [f"{width}×{height}", *map(str, range(20))])
    app = look_with(panel)
    async with app.run_test(size=(40, 6)) as pilot:
        assert [line.strip("│ ") for line in lines_of(app)[1:-1]] == ["36×4", "0", "1", "2"]
        await pilot.resize_terminal(50, 7)
        await pilot.pause()
        assert [line.strip("│ ") for line in lines_of(app)[1:-1]] == ["46×5", "0", "1", "2", "3"]


async def test_what_did_not_change_sends_nothing(look_with: Look) -> None:
    panel = Lines("Loss", lambda width, height: ["[$success]0.5[/]"])
    app = look_with(panel)
    async with app.run_test(size=(60, 20)) as pilot:
        panel.entitle("Loss", "12 steps")
        await pilot.pause()
        app.sent.clear()
        for _ in range(3):
            panel.entitle("Loss", "12 steps")
            panel.show(lambda width, height: ["[$success]0.5[/]"])
            await pilot.pause()
        assert app.sent == []
        panel.show(lambda width, height: ["[$success]0.4[/]"])
        await pilot.pause()
        assert "0.4" in "".join(app.sent)


async def test_the_focused_panel_is_the_only_one_with_a_colored_frame(look_with: Look) -> None:
    first, second = FocusableLines("one"), Box(FocusableLines("two", classes="inner"), title="box")
    app = look_with(first, second)
    async with app.run_test(size=(60, 20)) as pilot:
        color = {name: Color.parse(app.get_css_variables()[name]) for name in ("primary", "frame")}

        def frames() -> tuple[Color, Color]:
            return first.styles.border_top[1], second.styles.border_top[1]

        first.focus()
        await pilot.pause()
        assert frames() == (color["primary"], color["frame"])
        await pilot.press("tab")
        assert frames() == (color["frame"], color["primary"])


@pytest.mark.parametrize("size", [(80, 20), (24, 6), (10, 3)])
async def test_an_empty_panel_says_what_is_missing_why_and_which_keys_help(
    look_with: Look, lines_of: Sees, size: tuple[int, int]
) -> None:
    panel = Lines("Runs", nothing_here("No runs", "None in runs", [("S", "starts"), ("o", "opens")]))
    app = look_with(panel)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        shown = "\n".join(lines_of(app))
        for words in ("No runs", "None in runs", "S  starts", "o  opens") if size != (10, 3) else ("○",):
            assert words in shown


async def test_lines_without_a_size_draw_nothing() -> None:
    def draw(width: int, height: int) -> list[str]:
        raise AssertionError((width, height))

    panel = Lines("", draw)
    panel.show(draw)
    assert panel._lines == []
