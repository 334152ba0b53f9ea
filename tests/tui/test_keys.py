"""One table of keys: a letter means one idea everywhere, and what is offered does something."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from studio_pilot import screen_text, studio, until, until_shown
from textual.binding import Binding
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import Input

import torchdeck.tui
from torchdeck.tui.keys.bindings import bindings
from torchdeck.tui.keys.commands import COMMANDS, MEANINGS, PANES, command_id
from torchdeck.tui.screens.dialog import OverScreen
from torchdeck.tui.screens.help import HelpScreen, key_groups
from torchdeck.tui.widgets.key_line import KeyLine

COMMANDS_WITH_KEYS = [
    (part, name, command) for part, named in COMMANDS.items() for name, command in named.items() if command.keys
]


@pytest.mark.parametrize(("part", "name", "command"), COMMANDS_WITH_KEYS, ids=lambda each: str(each)[:40])
def test_every_letter_has_a_meaning(part: str, name: str, command: object) -> None:
    letters = [key for key in command.keys.split(",") if re.fullmatch("[A-Za-z]", key)]  # type: ignore[attr-defined]
    assert [letter for letter in letters if letter not in MEANINGS] == []


def test_every_meaning_belongs_to_a_letter_that_does_something() -> None:
    assert set(MEANINGS) <= {key for _, _, command in COMMANDS_WITH_KEYS for key in command.keys.split(",")}


@pytest.mark.parametrize("part", COMMANDS)
def test_a_key_means_one_thing_within_a_part(part: str) -> None:
    keys = [key for name, command in COMMANDS[part].items() for key in command.keys.split(",") if key]
    # One key pauses a run and continues it.
    doubled = {key for key in keys if keys.count(key) > 1} - {"P"}
    assert doubled == set()


@pytest.mark.parametrize("part", COMMANDS)
def test_bindings_are_made_from_the_table(part: str) -> None:
    for binding in bindings(part):
        assert isinstance(binding, Binding)
        command = COMMANDS[part][str(binding.id).partition(".")[2]]
        assert (binding.key, binding.action, binding.tooltip) == (command.keys, command.action, command.does)
        assert binding.show == bool(command.label)


async def test_every_pane_is_reached_by_its_digit_and_by_f7_and_f8(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        for number, name in enumerate(PANES, start=1):
            await pilot.press(str(number))
            await until(pilot, lambda name=name: str(app.pane.id) == name)
        await pilot.press("f8")
        await until(pilot, lambda: str(app.pane.id) == next(iter(PANES)))
        await pilot.press("f7")
        await until(pilot, lambda: str(app.pane.id) == list(PANES)[-1])


async def test_the_help_lists_every_key_that_works_where_the_focus_is(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(120, 60)) as (app, pilot):
        for digit in range(1, len(PANES) + 1):
            await pilot.press(str(digit))
            await pilot.pause()
            wanted = {
                active.binding.tooltip
                for active in app.screen.active_bindings.values()
                if active.enabled and active.binding.id and active.binding.tooltip
            }
            await pilot.press("f1")
            await until(pilot, lambda: isinstance(app.screen, HelpScreen))
            # Long sentences are in several lines.
            shown = " ".join(" ".join(str(each.visual) for each in app.screen.query("Static")).split())
            panes = {COMMANDS["studio"][name].does for name in PANES}
            missing = [does for does in wanted - panes if does not in shown]
            assert missing == [], digit
            await pilot.press("escape")


async def test_every_key_that_the_last_line_shows_is_in_the_help_wherever_the_focus_is(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        for digit in range(1, len(PANES) + 1):
            await pilot.press(str(digit))
            for widget in list(app.screen.focus_chain):
                app.screen.set_focus(widget)
                await pilot.pause()
                shown = {
                    active.binding.tooltip or active.binding.description
                    for active in app.screen.active_bindings.values()
                    if active.enabled and active.binding.show
                }
                listed = {does for _, keys in key_groups(app.screen) for _, does in keys}
                assert shown <= listed, widget


async def test_a_key_of_a_run_without_one_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("P", "C", "X", "E")
        await until(pilot, lambda: [told.title for told in app.told] == 4 * ["No run to act on"])
        assert {told.text for told in app.told} == {"S starts one; 5 Runs lists all"}


def test_no_part_of_a_pane_takes_a_key_that_means_something_everywhere() -> None:
    everywhere = {key for each in COMMANDS["studio"].values() for key in each.keys.split(",") if len(key) == 1}
    taken = {
        f"{part}.{name}: {key}"
        for part, name, command in COMMANDS_WITH_KEYS
        for key in command.keys.split(",")
        if part != "studio" and key in everywhere
    }
    # A key of a screen over the studio hides nothing; zero is where the panes' digits end.
    over = ("sample", "checkpoint", "scores", "comparison", "evaluation", "plan", "lines", "groups", "key_list")
    parts = tuple(f"{part}." for part in over)
    assert {each for each in taken if not each.startswith((*parts, "chart.outliers"))} == set()


def own_kinds(of: type[DOMNode]) -> set[type[DOMNode]]:
    """Every class of the studio that is a kind of screen or widget."""
    for module in pkgutil.walk_packages(torchdeck.tui.__path__, "torchdeck.tui."):
        importlib.import_module(module.name)
    waiting, found = [of], set()
    while waiting:
        kinds = [each for each in waiting.pop().__subclasses__() if each not in found]
        found.update(kinds)
        waiting += kinds
    return {kind for kind in found if kind.__module__.startswith("torchdeck.tui.")}


def test_every_screen_over_the_studio_can_list_its_keys() -> None:
    without = {kind.__name__ for kind in own_kinds(ModalScreen) if not issubclass(kind, OverScreen)}
    assert without == {"HelpScreen", "Palette"}


def test_no_widget_or_screen_has_keys_of_its_own_besides_the_table() -> None:
    known = {command_id(part, name) for part, commands in COMMANDS.items() for name in commands}
    beside = {
        f"{kind.__name__}: {binding}"
        for kind in own_kinds(DOMNode)
        for binding in vars(kind).get("BINDINGS", ())
        if not isinstance(binding, Binding) or binding.id not in known
    }
    assert beside == set()


async def test_what_a_focused_field_swallows_is_not_offered(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("7", "slash")
        await until(pilot, lambda: isinstance(app.focused, Input))
        offered = app.screen.active_bindings
        assert [key for key in ("S", "q", "colon", "1", "n") if key in offered] == []
        assert {"f5", "f1", "f8", "ctrl+p"} <= offered.keys()
        await pilot.press("S", "1")
        assert isinstance(app.focused, Input)
        assert app.focused.value == "S1"
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until_shown(pilot, "Keys while you type")
        await pilot.press("escape", "escape")
        await pilot.pause()
        assert app.query_one(KeyLine).display


async def test_a_click_on_the_last_line_presses_the_key(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("7")
        await pilot.pause()
        line = screen_text(app).splitlines()[-1]
        await pilot.click(KeyLine, offset=(line.index("? Keys"), 0))
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await pilot.press("escape")
        await pilot.click("#tabs", offset=(screen_text(app).splitlines()[0].index("2 Model") + 2, 0))
        await until(pilot, lambda: str(app.pane.id) == "model")
