"""Detects a terminal's graphics from its answers and from the environment."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .answers import Answers

Way = Literal["kitty", "sixel", "iterm", "blocks"]
Wish = Literal["auto", "kitty", "sixel", "iterm", "blocks"]
# The first versions that draw Unicode placeholders. Other terminals also answer kitty's question, but can't draw them.
_PLACEHOLDERS_SINCE = {"kitty": (0, 28), "ghostty": (1, 0)}
_ITERM_NAMES = ("iterm2", "wezterm")
# Values of tmux's option; 1 until version 3.3.
_PASSES_ON = ("1", "on", "all")
_TMUX_ASKED_FOR = 2.0  # seconds


@dataclass(frozen=True)
class Support:
    """How pictures are shown.

    Attributes:
        way: kitty's placeholders, sixel, iTerm2's inline images, or blocks.
        cell: width and height of a character cell in pixels, as the terminal reports; None if it does not.
        in_tmux: whether tmux has to pass escape sequences on.
    """

    way: Way = "blocks"
    cell: tuple[int, int] | None = None
    in_tmux: bool = False


def may_be_asked(wish: Wish, environment: Mapping[str, str]) -> bool:
    """Whether to ask the terminal. Multiplexers, and consoles that print unknown sequences, are not asked."""
    is_simple = environment.get("TERM", "") in ("", "dumb", "linux")
    return wish == "auto" and not is_simple and not _multiplexer(environment)


def find_support(wish: Wish, environment: Mapping[str, str], answers: Answers, tmux: str = "") -> Support:
    """Choose the best graphics of this terminal.

    Args:
        wish: the graphics to use regardless of the terminal, or auto.
        environment: environment of the process.
        answers: answers of the terminal, possibly none.
        tmux: result of `ask_tmux`; empty outside tmux.
    """
    multiplexer = _multiplexer(environment)
    if wish != "auto":
        return Support(wish, answers.cell, in_tmux=multiplexer == "tmux")
    if environment.get("NO_COLOR"):
        # kitty encodes the image number as a color, and blocks are colors: neither works without colors.
        return Support("blocks", answers.cell)
    if multiplexer == "tmux":
        passes_on, _, outer = tmux.partition(" ")
        return Support("kitty", in_tmux=True) if passes_on in _PASSES_ON and _draws_placeholders(outer) else Support()
    if multiplexer:
        return Support("blocks", answers.cell)
    return Support(_way(environment, answers), answers.cell)


def ask_tmux() -> str:
    """Ask tmux whether it passes escape sequences on, and which terminal it runs in; empty if unknown.

    Example: `on kitty(0.35.2)`.
    """
    # The name that the terminal reports, or else the name of its terminfo entry.
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
    # xterm.js, in VS Code, enables iTerm2's images and sixel together, or neither.
    if is_iterm or (answers.sixel and name.startswith(("xterm.js", "vscode"))):
        return "iterm"
    return "sixel" if answers.sixel and answers.cell is not None else "blocks"


def _draws_placeholders(name: str) -> bool:
    """Parse a terminal's name: `kitty(0.35.2)`, `ghostty 1.1.0`, or only `xterm-kitty`."""
    found = re.search(r"(kitty|ghostty)(?:\W*(\d+)\.(\d+))?", name.lower())
    if found is None:
        return False
    kind, major, minor = found.groups()
    return major is None or (int(major), int(minor)) >= _PLACEHOLDERS_SINCE[kind]


def _multiplexer(environment: Mapping[str, str]) -> str:
    """Name of the terminal multiplexer that this process runs in; empty if none."""
    for variable, name in (("TMUX", "tmux"), ("STY", "screen"), ("ZELLIJ", "zellij")):
        if environment.get(variable):
            return name
    # The multiplexer may run on another machine; then only TERM names it.
    return "remote" if environment.get("TERM", "").startswith(("screen", "tmux")) else ""
