"""The key line: important keys keep their place, others are dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widget import Widget

from torchdeck.tui.widgets.key_line import Key, KeyLine, how_many_fit


class Pane(Widget, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(letter, f"do('{letter}')", name)
        for letter, name in (("a", "add"), ("b", "borrow"), ("d", "double"), ("f", "find"))
    ]
    done = ""
    refused = ""

    def offers(self, action: str) -> bool:
        return action not in self.refused.split()

    def action_do(self, letter: str) -> None:
        self.done += letter


class Keys(App[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "keys", "Keys", key_display="?"),
        Binding("q", "quit", "Quit"),
    ]

    def compose(self) -> ComposeResult:
        yield Pane()
        yield KeyLine(("keys", "quit"))

    def action_keys(self) -> None:
        """Do nothing."""


Lines = Callable[[App[None]], list[str]]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (60, " a add  b borrow  d double  f find           ? Keys  q Quit"),
        (40, " a add  b borrow  …      ? Keys  q Quit"),
        (22, " …     ? Keys  q Quit"),
    ],
)
async def test_the_fixed_keys_stay_at_the_right_and_the_last_of_the_others_give_way(
    lines_of: Lines, width: int, line: str
) -> None:
    app = Keys()
    async with app.run_test(size=(width, 5)) as pilot:
        app.query_one(Pane).focus()
        await pilot.pause()
        assert lines_of(app)[-1] == line


async def test_a_key_that_is_not_offered_is_not_shown_and_works_all_the_same(lines_of: Lines) -> None:
    app = Keys()
    async with app.run_test(size=(60, 5)) as pilot:
        pane = app.query_one(Pane)
        pane.refused = "do('b') do('d')"
        pane.focus()
        await pilot.pause()
        assert lines_of(app)[-1].split() == ["a", "add", "f", "find", "?", "Keys", "q", "Quit"]
        await pilot.press("b")
        assert pane.done == "b"


async def test_a_click_presses_the_key_under_the_mouse(lines_of: Lines) -> None:
    app = Keys()
    async with app.run_test(size=(60, 5)) as pilot:
        app.query_one(Pane).focus()
        await pilot.pause()
        await pilot.click(KeyLine, offset=(lines_of(app)[-1].index("double"), 0))
        await pilot.pause()
        assert app.query_one(Pane).done == "d"


def test_keys_that_just_fit_need_no_mark_of_more() -> None:
    keys = [Key("a", "a", "add"), Key("b", "b", "borrow")]
    assert how_many_fit(keys, 5 + 2 + 8) == 2
    assert how_many_fit(keys, 5 + 2 + 7) == 1
    assert how_many_fit([], 0) == 0


class _KeptKeys(Keys):
    def compose(self) -> ComposeResult:
        yield Pane()
        yield KeyLine(("keys", "quit"), kept=lambda: ("do('f')",))


@pytest.mark.parametrize(
    ("width", "begin"),
    [(60, " a add  b borrow  d double  f find "), (40, " a add  …  f find "), (30, " …  f find ")],
)
async def test_keys_that_are_kept_stay_in_view_and_others_make_room(lines_of: Lines, width: int, begin: str) -> None:
    app = _KeptKeys()
    async with app.run_test(size=(width, 5)) as pilot:
        await pilot.press("tab")
        await pilot.pause()
        line = lines_of(app)[-1]
        assert line.startswith(begin) and line.endswith(" ? Keys  q Quit")


async def test_at_no_width_are_the_fixed_keys_moved_out_of_sight(lines_of: Lines) -> None:
    app = _KeptKeys()
    async with app.run_test(size=(60, 5)) as pilot:
        await pilot.press("tab")
        for width in range(34, 60):
            await pilot.resize_terminal(width, 5)
            await pilot.pause()
            line = lines_of(app)[-1]
            assert line.endswith(" ? Keys  q Quit") and len(line) == width - 1, width
