"""Names for the parts of the screen that offer commands, and for their keys, as help and palette show them."""

from __future__ import annotations

from textual.keys import format_key

from .commands import PANES

_TITLES = {
    "studio": "Everywhere",
    "dialog": "Everywhere",
    "selection": "Everywhere",
    "answers": "Answers",
    "code": "The code",
    "key_list": "Keys",
    "list": "The list",
    "model_list": "The list",
    "gpus": "GPUs",
    "filter": "While you filter",
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


_KEYS = {"escape": "Esc", "pagedown": "PgDn", "pageup": "PgUp", "delete": "Del", "shift": "⇧"}


def key_text(key: str) -> str:
    """A key as keyboards and the documents write it, by Textual's name of it."""
    *modifiers, last = key.split("+")
    shown = _KEYS.get(last) or format_key(last)
    if modifiers or len(shown) > 1:
        # A letter alone is another key than its capital.
        shown = shown[:1].upper() + shown[1:]
    return "+".join([*(_KEYS.get(each) or each.capitalize() for each in modifiers), shown]).replace("⇧+", "⇧")
