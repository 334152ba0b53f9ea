"""A question with buttons: letters, arrows, Enter, Escape and the mouse answer it."""

from __future__ import annotations

from pathlib import Path

import pytest
from asking import Asking
from studio_pilot import screen_text, studio, until, until_shown
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.widgets import Button

from torchdeck.tui.app import Studio
from torchdeck.tui.screens.ask import ConfirmScreen, PromptScreen
from torchdeck.tui.screens.dialog import Answer, Dialog
from torchdeck.tui.screens.help import HelpScreen

NAME = "[red]run[/] 1"


def stop_question(first: int = 0) -> Dialog[object]:
    answers = [Answer[object]("s", "Next step", "step", "warning", also="X"), Answer[object]("e", "Epoch", "epoch")]
    return Dialog(f"Stop {NAME}?", answers, escape="nothing", way_out="trains on", tone="warning", first=first)


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["s"], "step"),
        (["X"], "step"),
        (["e"], "epoch"),
        (["escape"], "nothing"),
        (["enter"], "step"),
        (["right", "enter"], "epoch"),
        (["tab", "enter"], "epoch"),
        (["right", "right", "enter"], "nothing"),
        (["right", "left", "enter"], "step"),
    ],
)
async def test_every_answer_has_its_key_and_its_place(keys: list[str], answer: str) -> None:
    app = Asking(stop_question())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press(*keys)
        await pilot.pause()
        assert app.answers == [answer]
        assert app.screen is not app.dialog


async def test_another_key_answers_nothing() -> None:
    app = Asking(stop_question())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("n", "y", "S", "1", "z")
        assert app.answers == [] and app.screen is app.dialog


@pytest.mark.parametrize(("first", "label"), [(0, "Next step"), (1, "Epoch"), (-1, "Trains on")])
async def test_the_gentlest_answer_has_the_focus(first: int, label: str) -> None:
    app = Asking(stop_question(first))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert isinstance(app.focused, Button) and label in str(app.focused.label)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (40, 12)])
async def test_the_question_its_answers_and_the_way_out_are_on_the_screen(size: tuple[int, int]) -> None:
    app = Asking(stop_question())
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        shown = screen_text(app)
        assert f"Stop {NAME}?" in shown
        for words in ("s  Next step", "e  Epoch", "Esc trains on"):
            assert words in shown


@pytest.mark.parametrize(
    ("button", "answer"), [("answer-0", "step"), ("answer-1", "epoch"), ("answer-escape", "nothing")]
)
async def test_a_click_on_a_button_gives_its_answer(button: str, answer: str) -> None:
    app = Asking(stop_question())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.click(f"#{button}")
        await pilot.pause()
        assert app.answers == [answer]


async def confirmed(pilot: Pilot[None], *keys: str) -> object:
    await pilot.press(*keys)
    await pilot.pause()
    assert isinstance(pilot.app, Asking)
    return pilot.app.answers


@pytest.mark.parametrize(
    ("key", "answer"), [("y", True), ("S", True), ("n", False), ("escape", False), ("enter", True)]
)
async def test_yes_and_no_have_their_letters_and_the_asking_key_means_yes(key: str, answer: bool) -> None:
    app = Asking(ConfirmScreen(f"Start {NAME}?", "[b]cnn[/b] on digits", yes="Start", again="S"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert f"Start {NAME}?" in screen_text(app) and "[b]cnn[/b] on digits" in screen_text(app)
        assert await confirmed(pilot, key) == [answer]


async def test_enter_does_not_do_what_can_not_be_undone() -> None:
    app = Asking(ConfirmScreen("Delete it?", "", yes="Delete", tone="error"))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert await confirmed(pilot, "enter") == [False]


async def test_a_prompt_returns_its_line_and_escape_none() -> None:
    for keys, answer in ((["q", "?", "enter"], "atq?"), (["escape"], None)):
        app = Asking(PromptScreen("Where?", "a folder [b]or[/b] file", " at", error="no such [b]folder"))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            shown = screen_text(app)
            assert "a folder [b]or[/b] file" in shown and "no such [b]folder" in shown
            assert await confirmed(pilot, "end", *keys) == [answer]


async def test_the_keys_of_a_dialog_are_listed_over_it_and_those_of_the_studio_are_not(tmp_path: Path) -> None:
    async with studio(tmp_path) as (app, pilot):
        assert isinstance(app, Studio)
        app.push_screen(stop_question())
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        await until_shown(pilot, "Next step")
        shown = screen_text(app)
        assert "trains on" in shown
        assert "Start the draft" not in shown and "Next pane" not in shown


async def test_a_dialog_is_laid_out_for_the_size_of_the_screen_from_the_start() -> None:
    found: list[set[str]] = []

    class Noted(ConfirmScreen):
        def compose(self) -> ComposeResult:
            found.append(set(self.classes))
            yield from super().compose()

    async with Asking(Noted("Go?", "")).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert found and {"-w80", "-h24"} <= found[0]


async def test_a_click_on_the_page_behind_is_escape_and_one_on_the_facts_is_not() -> None:
    app = Asking(ConfirmScreen("Go?", "What happens."))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.click("ConfirmScreen Static")
        assert app.answers == []
        await pilot.click(offset=(1, 1))
        await until(pilot, lambda: bool(app.answers))
        assert app.answers == [False]
