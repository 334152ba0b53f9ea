"""A field that filters a panel with every letter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.app import App, ComposeResult
from textual.binding import Binding

from torchdeck.tui.widgets.filter_field import FilterField, ask_filter
from torchdeck.tui.widgets.key_line import KeyLine
from torchdeck.tui.widgets.panel import FocusableLines


class Searched(FocusableLines):
    BINDINGS = [Binding("slash", "search", "Search")]

    def __init__(self) -> None:
        super().__init__("Lines")
        self.texts: list[str] = []
        self.present = ""

    async def action_search(self) -> None:
        await ask_filter(self, self.present, "part of a line")

    def on_filter_field_typed(self, message: FilterField.Typed) -> None:
        assert message.control is self
        self.present = message.text
        self.texts.append(message.text)


class SearchApp(App[None]):
    CSS = "Searched { border: round; } FilterField { height: 1; border: none; }"

    def compose(self) -> ComposeResult:
        yield Searched()
        yield FocusableLines("Others")
        yield KeyLine(())

    async def begin(self, pilot: Any) -> Searched:
        panel = self.query_one(Searched)
        panel.focus()
        await pilot.press("slash")
        await pilot.pause()
        return panel


async def test_every_letter_filters_and_the_field_says_what_it_takes(lines_of: Callable[[Any], list[str]]) -> None:
    app = SearchApp()
    async with app.run_test(size=(80, 12)) as pilot:
        panel = await app.begin(pilot)
        assert "part of a line    Enter keeps it · Esc shows all" in lines_of(app)[-1]
        await pilot.press(*"lr ", "q", "backspace")
        assert panel.texts == ["l", "lr", "lr", "lr q", "lr"]


async def test_enter_keeps_the_filter_and_the_key_line_is_back(lines_of: Callable[[Any], list[str]]) -> None:
    app = SearchApp()
    async with app.run_test(size=(80, 12)) as pilot:
        panel = await app.begin(pilot)
        assert not app.query_one(KeyLine).display
        await pilot.press(*"lr", "enter")
        await pilot.pause()
        assert panel.has_focus and panel.present == "lr"
        assert not app.query(FilterField) and app.query_one(KeyLine).display
        assert "Search" in lines_of(app)[-1]
        # Asked again, it begins with the present filter.
        await pilot.press("slash")
        assert app.query_one(FilterField).value == "lr"


async def test_escape_shows_all_again() -> None:
    app = SearchApp()
    async with app.run_test(size=(80, 12)) as pilot:
        panel = await app.begin(pilot)
        await pilot.press(*"lr", "escape")
        await pilot.pause()
        assert panel.has_focus and panel.texts[-1] == ""
        assert not app.query(FilterField) and app.query_one(KeyLine).display


async def test_a_click_elsewhere_keeps_the_filter_and_ends_the_field() -> None:
    app = SearchApp()
    async with app.run_test(size=(80, 12)) as pilot:
        panel = await app.begin(pilot)
        await pilot.press(*"lr")
        other = app.query(FocusableLines).last()
        await pilot.click(other, offset=(4, 2))
        await pilot.pause()
        assert other.has_focus and panel.present == "lr"
        assert not app.query(FilterField) and app.query_one(KeyLine).display


async def test_a_panel_that_is_gone_does_not_keep_the_field() -> None:
    app = SearchApp()
    async with app.run_test(size=(80, 12)) as pilot:
        panel = await app.begin(pilot)
        await panel.remove()
        await pilot.press("escape")
        await pilot.pause()
        assert not app.query(FilterField) and app.query_one(KeyLine).display
