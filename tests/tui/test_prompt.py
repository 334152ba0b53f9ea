"""The question for a line of text."""

from pathlib import Path

from textual.widgets import Input

from torchdeck.tui import stage
from torchdeck.tui.screens.ask import PromptScreen
from torchdeck.tui.stage import Stage


class PromptApp(Stage):
    """Asks for a name."""

    CSS_PATH = Path(stage.__file__).with_name("studio.tcss")

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[str | None] = []

    def on_ready(self) -> None:
        self.push_screen(PromptScreen("A name?", "Any name."), self.answers.append)


async def test_the_field_has_the_focus_and_enter_gives_what_was_typed() -> None:
    app = PromptApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        assert isinstance(app.focused, Input)
        await pilot.press(*"anna", "enter")
        assert app.answers == ["anna"]
