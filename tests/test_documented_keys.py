"""The keys that README and docs name do something in the pane that they are named for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchdeck.tui.keys.commands import COMMANDS, PANES

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

EVERYWHERE = ("studio", "dialog", "selection", "answers", "code", "key_list", "list", "filter", "rows", "lines")
PARTS = {
    "data": ("data", "catalog", "samples", "pictures", "transforms", "transform", "numbers", "batch", "sample"),
    "model": ("model", "models", "model_list", "tree", "groups", "weights"),
    "setup": ("setup", "sections", "form", "typing", "plan", "gpus"),
    "train": ("train", "chart", "evaluation"),
    "runs": (
        *("runs", "run_table", "checkpoint_table", "run_chart", "chart"),
        *("columns", "checkpoint", "comparison", "scores", "evaluation"),
    ),
    "sweeps": ("sweeps", "trial_table", "chart"),
    "log": ("log",),
}

PANE_OF_PAGE = {
    "data-pane.md": "data",
    "model-pane.md": "model",
    "config.md": "setup",
    "train-pane.md": "train",
    "browser.md": "runs",
    "sweeps.md": "sweeps",
}
# What looks like a key: letters above a chart, and the unit of an age.
NOT_KEYS = {"train-pane.md": set("LRMB"), "runs.md": set("LRMB"), "browser.md": {"h"}}

TEXTUALS_NAMES = {
    "Enter": "enter",
    "Esc": "escape",
    "Escape": "escape",
    "Tab": "tab",
    "Shift+Tab": "shift+tab",
    "Space": "space",
    "PgUp": "pageup",
    "PgDn": "pagedown",
    "←": "left",
    "→": "right",
    "↑": "up",
    "↓": "down",
    "/": "slash",
    "?": "question_mark",
    ":": "colon",
    "+": "plus",
    "-": "minus",
    "*": "asterisk",
    ".": "full_stop",
    ",": "comma",
    "Ctrl+P": "ctrl+p",
    "F1": "f1",
    "F7": "f7",
    "F8": "f8",
}


def paragraphs(page: Path) -> list[str]:
    """Paragraphs, items of lists and rows of tables, without blocks of code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.split(r"\n\n|\n(?=\||\d\. |- )", text)


def named_panes(paragraph: str) -> set[str]:
    titles = {title.lower(): pane for pane, title in PANES.items()}
    found = re.findall(r"[*`][1-6] (\w+)[*`]", paragraph) + re.findall(r"(\w+) pane", paragraph)
    return {titles[word.lower()] for word in found if word.lower() in titles}


def is_key(word: str) -> bool:
    return word in TEXTUALS_NAMES or re.fullmatch(r"[A-Za-z]", word) is not None


def keys_named_in(page: Path) -> Iterator[tuple[str, set[str]]]:
    """Every key between backticks, with the panes that it is named for; all panes if none is said."""
    for paragraph in paragraphs(page):
        panes = named_panes(paragraph) | ({PANE_OF_PAGE[page.name]} if page.name in PANE_OF_PAGE else set())
        for key in re.findall(r"`([^`\s]+)`", paragraph):
            if is_key(key) and key not in NOT_KEYS.get(page.name, ()):
                yield TEXTUALS_NAMES.get(key, key), panes or set(PARTS)


def test_every_part_of_the_screen_belongs_to_a_pane() -> None:
    assert {*EVERYWHERE, *(part for parts in PARTS.values() for part in parts)} == set(COMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_key_that_a_page_names_works_in_the_pane_it_is_named_for(page: Path) -> None:
    unknown = [
        f"{key} in {', '.join(sorted(panes))}"
        for key, panes in keys_named_in(page)
        if not any(
            key in command.keys.split(",")
            for part in {*EVERYWHERE, *(part for pane in panes for part in PARTS[pane])}
            for command in COMMANDS[part].values()
        )
    ]
    assert unknown == []


def test_a_page_about_a_pane_names_keys() -> None:
    assert all(len(list(keys_named_in(ROOT / "docs" / page))) > 5 for page in PANE_OF_PAGE)
