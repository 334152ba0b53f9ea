"""Which graphics a terminal has, from what it answers and from the environment."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .answers import Answers

Way = Literal["kitty", "sixel", "iterm", "blocks"]
Wish = Literal["auto", "kitty", "sixel", "iterm", "blocks"]
_WORDS: dict[Way, str] = {
    "kitty": "kitty graphics",
    "sixel": "sixel graphics",
    "iterm": "iTerm2 graphics",
    "blocks": "half blocks",
}
# The first versions that draw Unicode placeholders. Other terminals answer kitty's question too, but draw none.
_PLACEHOLDERS_SINCE = {"kitty": (0, 28), "ghostty": (1, 0)}
_ITERM_NAMES = ("iterm2", "wezterm")
# What tmux says of its option; 1 until version 3.3.
_PASSES_ON = ("1", "on", "all")
_TMUX_ASKED_FOR = 2.0  # seconds


@dataclass(frozen=True)
class Support:
    """How pictures are shown.

    Attributes:
        way: kitty's placeholders, sixel, iTerm2's inline images, or half blocks.
        cell: width and height of a character cell in pixels, as the terminal told; None when it did not.
        in_tmux: escape sequences have to be passed on by tmux.
    """

    way: Way = "blocks"
    cell: tuple[int, int] | None = None
    in_tmux: bool = False

    @property
    def words(self) -> str:
        """The way's name for the user."""
        return _WORDS[self.way]


def may_be_asked(wish: Wish, environment: Mapping[str, str]) -> bool:
    """Whether to ask the terminal: consoles that print what they don't understand, and multiplexers, are not."""
    is_simple = environment.get("TERM", "") in ("", "dumb", "linux")
    return wish == "auto" and not is_simple and not _multiplexer(environment)


def find_support(wish: Wish, environment: Mapping[str, str], answers: Answers, tmux: str = "") -> Support:
    """The way that this terminal shows pictures best.

    Args:
        wish: a way that is taken without asking, or auto.
        environment: the process's environment.
        answers: what the terminal told; nothing, if nothing.
        tmux: what `ask_tmux` found; empty outside tmux.
    """
    multiplexer = _multiplexer(environment)
    if wish != "auto":
        return Support(wish, answers.cell, in_tmux=multiplexer == "tmux")
    if environment.get("NO_COLOR"):
        # Without colours neither a number nor a picture would be left of a picture.
        return Support("blocks", answers.cell)
    if multiplexer == "tmux":
        passes_on, _, outer = tmux.partition(" ")
        return Support("kitty", in_tmux=True) if passes_on in _PASSES_ON and _draws_placeholders(outer) else Support()
    if multiplexer:
        return Support("blocks", answers.cell)
    return Support(_way(environment, answers), answers.cell)


def ask_tmux() -> str:
    """Whether the tmux around us passes on escape sequences, and the name of the terminal around it; empty if unknown.

    For instance `on kitty(0.35.2)`.
    """
    # As the terminal said its name, or else as its terminfo entry is called.
    name = "#{?client_termtype,#{client_termtype},#{client_termname}}"
    try:
        asked = subprocess.run(
            ["tmux", "display-message", "-p", f"#{{allow-passthrough}} {name}"],
            capture_output=True,
            text=True,
            timeout=_TMUX_ASKED_FOR,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout.strip() if asked.returncode == 0 else ""


def _way(environment: Mapping[str, str], answers: Answers) -> Way:
    name = answers.name.lower() or environment.get("TERM_PROGRAM", "").lower()
    if answers.kitty and _draws_placeholders(name or environment.get("TERM", "")):
        return "kitty"
    is_iterm = name.startswith(_ITERM_NAMES) or environment.get("LC_TERMINAL") == "iTerm2"
    # xterm.js, in VS Code, has iTerm2's images and sixel together, and only where they are switched on.
    if is_iterm or (answers.sixel and name.startswith(("xterm.js", "vscode"))):
        return "iterm"
    return "sixel" if answers.sixel and answers.cell is not None else "blocks"


def _draws_placeholders(name: str) -> bool:
    """Of a name as the terminal says it: `kitty(0.35.2)`, `ghostty 1.1.0`, or only `xterm-kitty`."""
    found = re.search(r"(kitty|ghostty)(?:\W*(\d+)\.(\d+))?", name.lower())
    if found is None:
        return False
    kind, major, minor = found.groups()
    return major is None or (int(major), int(minor)) >= _PLACEHOLDERS_SINCE[kind]


def _multiplexer(environment: Mapping[str, str]) -> str:
    """The name of the terminal multiplexer that we run in; empty for none."""
    for variable, name in (("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "zellij")):
        if environment.get(variable):
            return name
    # On another machine than the multiplexer itself, which only TERM came to.
    return "remote" if environment.get("TERM", "").startswith(("screen", "tmux")) else ""
