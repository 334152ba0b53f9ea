"""What an attached terminal is sent when a run ended or stands still: a bell, a desktop notification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torchdeck.engine.errors import TorchdeckError
from torchdeck.engine.files.json_values import number

from ..plain_text import printable

if TYPE_CHECKING:
    from torchdeck.engine.config import TerminalNotice
    from torchdeck.engine.runs.reader import RunReader

_BELL = "\a"
_MAX_TEXT = 200


def notice_for(reader: RunReader, status: str, environment: Mapping[str, str]) -> str:
    """The escape sequences that tell that a run has this status; empty when its config doesn't want it told.

    Args:
        reader: the run.
        status: finished, stopped, failed, died or stalled.
        environment: the process's environment, which names the terminal.
    """
    settings, state = reader.config().notify, reader.state()
    # A process that was killed could not tell it elsewhere; to somebody who looks it failed.
    asked_for = "failed" if status == "died" else status
    began, updated = number(state.get("started")), number(state.get("updated"))
    minutes = (updated - began) / 60 if began is not None and updated is not None else 0.0
    if asked_for not in settings.on or (minutes < settings.after_minutes and status != "stalled"):
        return ""
    return escape_sequences(settings.terminal, f"{reader.path.name}: {status}", environment)


def notice_of(path: Path, status: str, environment: Mapping[str, str]) -> str:
    """As `notice_for`, of the run in a directory; empty where its config can't be read."""
    from torchdeck.engine.runs.reader import RunReader

    try:
        return notice_for(RunReader(path), status, environment)
    except TorchdeckError:
        return ""


def escape_sequences(way: TerminalNotice, text: str, environment: Mapping[str, str]) -> str:
    """A notice as bytes for the terminal. A terminal that doesn't know a sequence shows nothing of it.

    OSC 9 is understood by iTerm2, WezTerm, kitty, Ghostty and Windows Terminal, OSC 777 by VTE's terminals, foot and
    rxvt. tmux passes on the bell and keeps the others to itself.
    """
    words = printable(text)[:_MAX_TEXT].replace(";", ",")
    osc9, osc777 = f"\x1b]9;{words}\a", f"\x1b]777;notify;torchdeck;{words}\a"
    if way == "auto":
        terminal = environment.get("TERM", "")
        wants_777 = "VTE_VERSION" in environment or terminal.startswith(("foot", "rxvt"))
        return _BELL + (osc777 if wants_777 else osc9)
    return {"bell": _BELL, "osc9": osc9, "osc777": osc777, "off": ""}[way]
