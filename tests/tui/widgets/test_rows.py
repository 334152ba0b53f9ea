"""A list whose cost depends on the rows that are seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from textual.binding import Binding
from textual.events import MouseScrollDown, MouseScrollUp
from textual.geometry import Region
from textual.message import Message

from torchdeck.tui.drawing import name
from torchdeck.tui.widgets.rows import Rows

Lines = Callable[[Any], list[str]]
Look = Callable[..., Any]


class Kept(Rows):
    """Rows that keep what they post and what they paint."""

    def __init__(self) -> None:
        super().__init__("Runs")
        self.posted: list[Message] = []
        self.painted: list[tuple[Region, ...]] = []

    def post_message(self, message: Message) -> bool:
        if isinstance(message, Rows.Moved | Rows.Clicked | Rows.HeadClicked):
            self.posted.append(message)
        return super().post_message(message)

    def refresh(self, *regions: Region, **options: Any) -> Any:
        # What a base class does while it is made comes before there is a list.
        if hasattr(self, "painted"):
            self.painted.append(regions)
        return super().refresh(*regions, **options)


def named(index: int, width: int) -> str:
    return f"row [b]{index}[/]"


def inner(lines: list[str]) -> list[str]:
    """The lines within the frame."""
    return [line.strip("│ ") for line in lines[1:-1]]


async def test_the_cursor_moves_by_rows_pages_and_to_both_ends(look_with: Look) -> None:
    rows = Kept()
    async with look_with(rows).run_test(size=(40, 12)) as pilot:
        rows.set_rows(100, named, head=lambda width: ["heading"])
        rows.focus()
        places = []
        for key in ("down", "j", "up", "k", "k", "pagedown", "G", "down", "pageup", "g", "end", "home"):
            await pilot.press(key)
            places.append(rows.cursor)
        # Ten lines lie within the frame; a page keeps one of its rows.
        assert places == [1, 2, 1, 0, 0, 8, 99, 99, 91, 0, 99, 0]
        assert all(isinstance(message, Rows.Moved) and message.control is rows for message in rows.posted)
        assert len(rows.posted) == 10


async def test_the_cursor_rests_on_no_heading(look_with: Look) -> None:
    rows = Kept()
    async with look_with(rows).run_test(size=(40, 12)) as pilot:
        rows.set_rows(6, named, headings={0, 3})
        rows.focus()
        places = [rows.cursor]
        for key in ("up", "down", "down", "up", "home", "end"):
            await pilot.press(key)
            places.append(rows.cursor)
        assert places == [1, 1, 2, 4, 2, 1, 5]
        rows.set_rows(6, named, headings={4, 5}, cursor=5)
        assert rows.cursor == 3


async def test_a_heading_above_the_first_row_is_seen(look_with: Look, lines_of: Lines) -> None:
    rows = Kept()
    app = look_with(rows)
    async with app.run_test(size=(40, 6)) as pilot:
        rows.set_rows(20, named, headings={0}, cursor=10)
        rows.focus()
        await pilot.press("home")
        await pilot.pause()
        assert inner(lines_of(app)) == ["row 0", "row 1", "row 2", "row 3"]


async def test_the_cursor_is_in_sight_and_the_frame_says_where_it_is(look_with: Look, lines_of: Lines) -> None:
    rows = Kept()
    app = look_with(rows)
    async with app.run_test(size=(40, 6)) as pilot:
        rows.set_rows(1200, named, cursor=1100)
        await pilot.pause()
        assert "row 1100" in inner(lines_of(app))
        assert "1,101 of 1,200" in lines_of(app)[-1]
        rows.focus()
        await pilot.press("up", "up", "up", "up")
        assert (inner(lines_of(app))[0], rows.first_shown) == ("row 1096", 1096)
        assert "1,097 of 1,200" in lines_of(app)[-1]
        rows.set_rows(3, named, position="[b]3[/] marked")
        await pilot.pause()
        assert rows.cursor == 2
        assert "3 marked" in lines_of(app)[-1]


async def test_without_rows_the_panel_says_why(look_with: Look, lines_of: Lines) -> None:
    rows = Kept()
    app = look_with(rows)
    async with app.run_test(size=(40, 6)) as pilot:
        rows.set_rows(0, named, empty=lambda width, height: [f"nothing in {width} by {height}"])
        rows.focus()
        await pilot.press("down", "G", "pageup", "g")
        await pilot.click(rows, offset=(3, 2))
        await pilot.pause()
        assert inner(lines_of(app))[0] == "nothing in 36 by 4"
        assert rows.posted == []
        assert " of " not in lines_of(app)[-1]


async def test_only_rows_that_are_seen_are_made(look_with: Look) -> None:
    made: set[int] = set()

    def row(index: int, width: int) -> str:
        made.add(index)
        return named(index, width)

    rows = Kept()
    async with look_with(rows).run_test(size=(40, 12)) as pilot:
        rows.set_rows(100_000, row, cursor=50_000)
        rows.focus()
        await pilot.press("down", "up")
        assert 50_000 in made and len(made) <= 3 * 10


async def test_a_move_paints_two_rows_and_the_lower_line_of_the_frame(look_with: Look, lines_of: Lines) -> None:
    rows = Kept()
    app = look_with(rows)
    async with app.run_test(size=(200, 60)) as pilot:
        rows.set_rows(100, lambda index, width: f"[$success]{index:<6}[/]" * (width // 6), head=lambda width: ["head"])
        rows.focus()
        await pilot.pause()
        rows.painted.clear()
        app.sent.clear()
        await pilot.press("down")
        await pilot.pause()
        assert rows.painted == [
            (Region(0, 1, 196, 1), Region(0, 2, 196, 1)),
            (Region(-2, 58, 200, 1),),
        ]
        assert 0 < len("".join(app.sent)) < 6000
        assert "2 of 100" in lines_of(app)[-1]


async def test_the_same_rows_again_paint_nothing(look_with: Look) -> None:
    rows = Kept()
    async with look_with(rows).run_test(size=(40, 12)) as pilot:
        rows.set_rows(5, named)
        await pilot.pause()
        rows.painted.clear()
        rows.set_rows(5, named)
        assert rows.painted == []
        rows.set_rows(5, lambda index, width: f"other {index}")
        assert rows.painted == [()]


async def test_a_changed_row_is_painted_alone_and_only_if_it_is_seen(look_with: Look, lines_of: Lines) -> None:
    texts = [f"row {index}" for index in range(50)]
    rows = Kept()
    app = look_with(rows)
    async with app.run_test(size=(40, 12)) as pilot:
        rows.set_rows(50, lambda index, width: texts[index], head=lambda width: ["head"])
        await pilot.pause()
        rows.painted.clear()
        texts[3] = texts[40] = "changed"
        rows.refresh_rows(3, 40)
        await pilot.pause()
        assert rows.painted == [(Region(0, 4, 36, 1),)]
        assert inner(lines_of(app))[4] == "changed"


async def test_a_click_moves_the_cursor_and_a_second_one_chooses(look_with: Look) -> None:
    rows = Kept()
    async with look_with(rows).run_test(size=(40, 12)) as pilot:
        rows.set_rows(5, named, head=lambda width: ["name  step"], headings={1})
        # The frame has one line and two columns.
        await pilot.click(rows, offset=(4, 5))
        assert rows.has_focus and rows.cursor == 3
        assert [type(message) for message in rows.posted] == [Rows.Moved]
        await pilot.click(rows, offset=(4, 6), times=2)
        assert rows.cursor == 4
        assert [type(message) for message in rows.posted[1:]] == [Rows.Moved, Rows.Clicked]
        rows.posted.clear()
        await pilot.click(rows, offset=(4, 3), times=2)
        await pilot.click(rows, offset=(4, 9), times=2)
        assert (rows.cursor, rows.posted) == (4, [])
        await pilot.click(rows, offset=(8, 1))
        (message,) = rows.posted
        assert isinstance(message, Rows.HeadClicked)
        assert (message.control, message.x) == (rows, 6)


async def test_a_double_click_chooses_the_row_under_the_mouse_even_if_the_first_click_scrolls(look_with: Look) -> None:
    rows = Kept()
    async with look_with(rows).run_test(size=(40, 6)) as pilot:
        rows.set_rows(20, named, headings={5}, cursor=9)
        rows.focus()
        await pilot.press("up", "up", "up")
        assert rows.first_shown == 5
        await pilot.press("down", "down", "down", "down")
        assert rows.first_shown == 7
        rows.set_rows(20, named, headings={6}, cursor=9)
        await pilot.click(rows, offset=(4, 1), times=2)
        assert rows.cursor == 7
        assert [message for message in rows.posted if isinstance(message, Rows.Clicked)]


@pytest.mark.parametrize(("event", "cursor"), [("down", 3), ("up", 0)])
async def test_the_wheel_moves_three_rows(look_with: Look, event: str, cursor: int) -> None:
    rows = Kept()
    async with look_with(rows).run_test(size=(40, 12)) as pilot:
        rows.set_rows(50, named)
        kind = MouseScrollDown if event == "down" else MouseScrollUp
        await pilot._post_mouse_events([kind], rows, offset=(4, 4))
        assert rows.cursor == cursor


async def test_names_from_files_are_text_under_the_cursor_too(look_with: Look, lines_of: Lines) -> None:
    hostile = name("[red]a[/] b\\")
    rows = Kept()
    app = look_with(rows)
    async with app.run_test(size=(40, 6)) as pilot:
        rows.set_rows(2, lambda index, width: f"[b]{hostile}[/] c")
        await pilot.pause()
        assert inner(lines_of(app))[:2] == ["[red]a[/] b⧵ c"] * 2


class _Entered(Kept):
    BINDINGS: ClassVar = [Binding("enter,e", "choose", id="entered")]

    def __init__(self) -> None:
        super().__init__()
        self.chosen: list[int] = []

    def action_choose(self) -> None:
        self.chosen.append(self.cursor)


async def test_a_second_click_does_what_enter_does_whichever_key_that_is(look_with: Look) -> None:
    rows = _Entered()
    app = look_with(rows)
    async with app.run_test(size=(40, 12)) as pilot:
        rows.set_rows(5, named)
        app.set_keymap({"entered": "f"})
        await pilot.click(rows, offset=(4, 4), times=2)
        assert rows.chosen == [3]
        assert not [message for message in rows.posted if isinstance(message, Rows.Clicked)]
