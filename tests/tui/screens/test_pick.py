"""Choosing one name out of many."""

from __future__ import annotations

import pytest
from asking import Asking
from textual.widgets import OptionList

from torchdeck.tui.screens.pick import PickEntry, PickScreen, found

ENTRIES = [
    PickEntry("RandomCrop", "batched", "cuts out a part"),
    PickEntry("CenterCrop", "batched", "cuts out the middle"),
    PickEntry("Normalize", "batched", "mean and std"),
]


def pick() -> Asking:
    return Asking(PickScreen("Add [b]one[/b]", ENTRIES))


@pytest.mark.parametrize(
    ("part", "names"),
    [
        ("", ["RandomCrop", "CenterCrop", "Normalize"]),
        ("crop", ["RandomCrop", "CenterCrop"]),
        ("nrm", ["Normalize"]),
        ("zzz", []),
    ],
)
def test_letters_scattered_over_a_name_find_it(part: str, names: list[str]) -> None:
    assert sorted(entry.name for entry in found(ENTRIES, part)) == sorted(names)


async def test_typing_narrows_the_list_and_enter_takes_the_name_under_the_cursor() -> None:
    app = pick()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(*"crop", "down")
        second = app.screen.query_one(OptionList).highlighted
        assert second == 1
        await pilot.press("enter")
        assert app.answers == [found(ENTRIES, "crop")[1].name]


async def test_escape_chooses_nothing_and_a_name_of_nothing_can_not_be_taken() -> None:
    app = pick()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(*"zzz", "enter")
        assert app.answers == []
        await pilot.press("escape")
        assert app.answers == [None]
