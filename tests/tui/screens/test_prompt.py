"""The question for a line of text."""

from asking import Asking
from textual.widgets import Input

from torchdeck.tui.screens.ask import PromptScreen


async def test_the_field_has_the_focus_and_enter_gives_what_was_typed() -> None:
    app = Asking(PromptScreen("A name?", "Any name."))
    async with app.run_test() as pilot:
        await pilot.pause()
        assert isinstance(app.focused, Input)
        await pilot.press(*"anna", "enter")
        assert app.answers == ["anna"]
