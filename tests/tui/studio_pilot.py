"""A studio under Textual's pilot, and functions that wait for text on its screen."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.app import App
from textual.command import CommandList
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input

from torchdeck.engine.config.file import load_config
from torchdeck.tui.app import Studio
from torchdeck.tui.widgets.config_form import ConfigForm
from torchdeck.tui.widgets.key_line import KeyLine

FAST = ("training.epochs=2", "loader.batch_size=128")
SMALL = ("training.epochs=1", "schedule.warmup_epochs=0", "loader.batch_size=128")


@asynccontextmanager
async def studio(
    tmp_path: Path, *overrides: str, size: tuple[int, int] = (120, 40), preset: str = "digits"
) -> AsyncIterator[tuple[Studio, Pilot[None]]]:
    """Open the studio with a preset; stop a run that is still live at the end."""
    app = Studio(load_config(preset, overrides), tmp_path / "runs", spec=preset)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        try:
            yield app, pilot
        finally:
            if app.launched is not None:
                app.launched.stop()
                while app.launched.is_alive:
                    await asyncio.sleep(0.05)


def screen_text(app: App[Any]) -> str:
    """The text on the screen, row by row."""
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def told(app: Studio) -> str:
    """The titles and texts of all toasts; one leaves the screen after seconds."""
    return "\n".join(f"{each.title} {each.text}" for each in app.told)


def offered(app: Studio) -> set[str]:
    """What the last line offers, even what has no room there."""
    return {key.description for keys in app.query_one(KeyLine)._offered(app.screen) for key in keys}


async def until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition holds; if it never does, fail and show the screen."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, screen_text(pilot.app)
        await pilot.pause(0.05)


async def until_shown(pilot: Pilot[None], text: str, seconds: float = 60.0) -> None:
    """Wait until the text is on the screen."""
    await until(pilot, lambda: text in screen_text(pilot.app), seconds)


async def paste(pilot: Pilot[None], text: str) -> None:
    """Paste a text into the focused field: much faster than its letters."""
    field = pilot.app.focused
    assert isinstance(field, Input), field
    pilot.app.post_message(Paste(text))
    await until(pilot, lambda: text in field.value)


async def choose_in_palette(pilot: Pilot[None], text: str) -> None:
    """Write into the palette and take the first hit, once it is listed."""
    await pilot.press("colon")
    await until(pilot, lambda: isinstance(pilot.app.focused, Input))
    # Every single letter would be searched for.
    await paste(pilot, text)

    def is_listed() -> bool:
        options = pilot.app.screen.query(CommandList).first().options if pilot.app.screen.query(CommandList) else []
        return bool(options) and text in str(options[0].prompt)

    await until(pilot, is_listed)
    await pilot.press("enter")
    await pilot.pause()


async def go_to_field(pilot: Pilot[None], key: str) -> None:
    """Move the cursor to a field of the setup pane. Enter types into it then."""
    await until(pilot, lambda: bool(pilot.app.query("SetupPane ConfigForm")))
    form = pilot.app.query_one("SetupPane ConfigForm", ConfigForm)
    await until(pilot, lambda: form.has_focus)
    assert form.go_to(key)
    await pilot.pause()


async def set_field(pilot: Pilot[None], key: str, text: str) -> None:
    """Move the cursor to a typed field of the setup pane, and replace its text with the keys a user presses."""
    await go_to_field(pilot, key)
    await pilot.press("enter", *text, "enter")
