"""The help lists the keys of the current pane or screen."""

from pathlib import Path

from studio_pilot import studio, until
from textual.widgets import Static

from torchdeck.tui.screens.help import HelpScreen, key_groups
from torchdeck.tui.screens.overlay import OverScreen
from torchdeck.tui.screens.plan import PlanScreen

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
