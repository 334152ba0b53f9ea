"""The help lists the keys of the current pane or screen."""

import importlib
import pkgutil
from pathlib import Path

from studio_pilot import screen_text, studio, until
from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import format_key
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Static
from torchdeck.tui.screens.overlay import OverScreen

import torchdeck.tui
from torchdeck.tui.app import PANES, Studio
from torchdeck.tui.screens.help import HelpScreen, key_groups, keys_of
from torchdeck.tui.screens.plan import PlanScreen
from torchdeck.tui.widgets.config_form import ConfigForm
from torchdeck.tui.widgets.key_line import KeyLine

NO_RUN = "no run to act on: press s to start one, or choose one in Runs"


async def test_a_screen_over_the_studio_lists_its_own_keys_and_none_of_the_studios(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3", "f6")
        await until(pilot, lambda: isinstance(app.screen, PlanScreen))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and bool(app.screen.query(Static)))
        shown = str(app.screen.query_one(Static).render())
        assert shown.startswith("Plan\n")
        assert "log y" in shown
        assert "show a pane" not in shown
        assert "Pause" not in shown
        await pilot.press("escape")
        assert isinstance(app.screen, PlanScreen)


async def test_f1_lists_the_keys_where_a_question_mark_is_text(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("2", "f")
        await until(pilot, lambda: isinstance(app.screen, OverScreen))
        await pilot.press("question_mark", "f1")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        assert key_groups("", app.screen_stack[-2])


async def test_a_key_with_nothing_to_do_says_so(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("p", "c", "x")
        await until(pilot, lambda: [told.message for told in app._notifications] == 3 * [NO_RUN])
        await pilot.press("4", "e")
        await until(pilot, lambda: any("press 3 for the settings" in told.message for told in app._notifications))


def our_kinds(base: type[DOMNode]) -> list[type[DOMNode]]:
    """Every widget and screen of the studio below a class."""
    for module in pkgutil.walk_packages(torchdeck.tui.__path__, "torchdeck.tui."):
        importlib.import_module(module.name)
    found: set[type[DOMNode]] = set()
    waiting = [base]
    while waiting:
        kind = waiting.pop()
        found.add(kind)
        waiting += [each for each in kind.__subclasses__() if each not in found]
    return sorted(
        (each for each in found if each.__module__.startswith("torchdeck.tui.")), key=lambda each: each.__name__
    )


def test_help_lists_every_key_of_a_widget_or_screen_inherited_ones_too() -> None:
    for kind in our_kinds(DOMNode):
        listed = {(key, words) for keys, words in keys_of(kind) for key in keys.split(" ")}
        bound = {
            (format_key(binding.key), binding.description[:1].lower() + binding.description[1:])
            for base in kind.__mro__
            if base.__module__.startswith("torchdeck.tui.")
            for each in base.__dict__.get("BINDINGS", ())
            if isinstance(each, Binding) and each.action != "app.keys"
            for binding in Binding.make_bindings([each])
            if binding.description
            and binding.action in {b.action for b in kind._merge_bindings().key_to_bindings[binding.key]}
        }
        assert listed == bound, kind


def test_every_screen_over_the_studio_can_list_its_keys() -> None:
    assert [kind.__name__ for kind in our_kinds(ModalScreen) if not issubclass(kind, OverScreen)] == ["HelpScreen"]


def shown_keys(app: Studio) -> set[tuple[str, str]]:
    """The keys in the key line, with their descriptions, even those that do not fit."""
    line = app.screen.query_one(KeyLine)
    return {(key.shown, key.description) for keys in line._offered(app.screen) for key in keys}


async def test_help_has_every_key_that_the_key_line_shows(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        for number, pane in enumerate(PANES, start=1):
            await pilot.press(str(number))
            root = app.query_one(f"#{pane}")
            for widget in [each for each in root.walk_children(Widget) if each.focusable]:
                app.screen.set_focus(widget)
                await pilot.pause()
                shown = shown_keys(app)
                listed = [keys for _, keys in [*key_groups("Pane", root), ("", keys_of(Studio))]]
                words = {(key, each[1]) for keys in listed for each in keys for key in each[0].split(" ")}
                assert {(key, text[:1].lower() + text[1:]) for key, text in shown} <= words, (pane, widget)
            app.screen.set_focus(None)


async def test_help_in_runs_has_the_actions_on_runs(tmp_path: Path) -> None:
    async with studio(tmp_path, size=(100, 60)) as (app, pilot):
        await pilot.press("5", "question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen) and bool(app.screen.query(Static)))
        shown = str(app.screen.query_one(Static).render())
        for words in (
            "Resume the run",
            "Fork it into the draft",
            "Pin the checkpoint",
            "Delete the run",
            "Sort by the",
        ):
            assert words in shown


async def test_the_key_line_shows_no_key_that_is_typed_into_the_focused_field(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        await pilot.press("3")
        form = app.query_one("SetupPane ConfigForm", ConfigForm)
        await until(pilot, lambda: form.has_focus_within)
        for key, typed in (("training.epochs", "s"), ("preset", "d")):
            assert form.focus_field(key)
            await pilot.pause()
            assert typed not in {shown for shown, _ in shown_keys(app)}
            if isinstance(app.focused, Input):
                assert {("f5", "Start"), ("f1", "Keys")} <= shown_keys(app)
                assert "s Start" not in screen_text(app)
                assert not {shown for shown, _ in shown_keys(app) if len(shown) == 1}
