"""Names for the parts of the screen that offer commands, and for their keys, as help and palette show them."""

from __future__ import annotations

from textual.keys import format_key

from .commands import PANES

_TITLES = {
    "studio": "Everywhere",
    "dialog": "Everywhere",
    "rows": "Move",
    "chart": "Charts",
    "form": "Settings",
    "typing": "While you type",
    "sections": "Sections",
    "pictures": "Pictures",
    "catalog": "Data sets",
    "numbers": "Statistics",
    "models": "Models",
    "tree": "Module tree",
    "run_table": "Table of runs",
    "checkpoint_table": "Checkpoints",
    "run_chart": "Curves of runs",
    "trial_table": "Trials",
    **PANES,
}


def part_title(part: str) -> str:
    """The name of a part of the screen, by its name in the table of commands."""
    return _TITLES.get(part) or part.replace("_", " ").capitalize()


def key_text(key: str) -> str:
    """A key as it is shown, by Textual's name of it."""
    return "⏎" if key == "enter" else format_key(key)
