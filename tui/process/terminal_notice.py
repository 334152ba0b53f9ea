"""Notifications to an attached terminal when a run ends or stalls: a bell, a desktop notification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torchdeck.engine.config import RunConfig
from torchdeck.engine.errors import RecordedRunError, TorchdeckError
from torchdeck.engine.files.json_values import number

from ..plain_text import printable

if TYPE_CHECKING:
    from torchdeck.engine.config import TerminalNotice
    from torchdeck.engine.runs.run_view import RunView

_BELL = "\a"
_MAX_TEXT = 200


def notice_for(reader: RunView, status: str, environment: Mapping[str, str]) -> str:
    """The escape sequences that notify of a run's status; empty if its config does not ask for it.

    Args:
        reader: reader of the run.
        status: finished, stopped, failed, died or stalled.
        environment: environment of the process, which names the terminal.
    """
    state = reader.state()
    try:
        settings = reader.config().notify
    except RecordedRunError:
        # The run of another program: as the defaults say.
        settings = RunConfig().notify
    # A killed process could not notify by itself; to the user, the run failed.
    asked_for = "failed" if status == "died" else status
    began, updated = number(state.get("started")), number(state.get("updated"))
    minutes = (updated - began) / 60 if began is not None and updated is not None else 0.0
    if asked_for not in settings.on or (minutes < settings.after_minutes and status != "stalled"):
        return ""
    return escape_sequences(settings.terminal, f"{reader.path.name}: {status}", environment)


def notice_of(path: Path, status: str, environment: Mapping[str, str]) -> str:
    """Like `notice_for`, for the run in a directory; empty if its config can't be read."""
    from torchdeck.engine.foreign.formats import open_run

    try:
        return notice_for(open_run(path), status, environment)
    except TorchdeckError:
        return ""


def escape_sequences(way: TerminalNotice, text: str, environment: Mapping[str, str]) -> str:
    """Encode a notification as bytes for the terminal. A terminal ignores sequences that it does not know.

    iTerm2, WezTerm, kitty, Ghostty and Windows Terminal understand OSC 9; VTE's terminals, foot and rxvt understand
    OSC 777. tmux passes on the bell and drops the others.
    """
    words = printable(text)[:_MAX_TEXT].replace(";", ",")
    osc9, osc777 = f"\x1b]9;{words}\a", f"\x1b]777;notify;torchdeck;{words}\a"
    if way == "auto":
        terminal = environment.get("TERM", "")
        wants_777 = "VTE_VERSION" in environment or terminal.startswith(("foot", "rxvt"))
        return _BELL + (osc777 if wants_777 else osc9)
    return {"bell": _BELL, "osc9": osc9, "osc777": osc777, "off": ""}[way]
