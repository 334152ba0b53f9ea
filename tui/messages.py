"""What panes ask of the studio. A pane posts one of these; the studio acts; the pane sees the changed state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.message import Message

from torchdeck.engine.config import RunConfig


@dataclass
class DraftEdited(Message):
    """Change one value of the draft, as `--set KEY=TEXT` would.

    Args:
        key: dotted key, such as "training.epochs".
        text: the value as TOML, or bare text.
    """

    key: str
    text: str


@dataclass
class ArgumentRemoved(Message):
    """Take a library's argument out of the draft, so that the library's default holds.

    Args:
        key: dotted key, such as "optimizer.momentum".
    """

    key: str


@dataclass
class DraftReplaced(Message):
    """Take over a whole config as the draft of the next run."""

    config: RunConfig


class StartRequested(Message):
    """Start a run from the draft."""


@dataclass
class ResumeRequested(Message):
    """Go on with a run.

    Args:
        run: its directory.
        checkpoint: the file to go on from; None for the newest valid one.
    """

    run: Path
    checkpoint: Path | None = None


@dataclass
class CommandRequested(Message):
    """Send a command to the run that is watched: pause, resume, save, stop, set."""

    command: dict[str, Any]


@dataclass
class WatchRequested(Message):
    """Show a run in the train pane."""

    run: Path


@dataclass
class RunNoticed(Message):
    """A run that is watched ended or stands still: somebody who looks elsewhere may want to know.

    Args:
        path: its directory.
        status: finished, stopped, failed, died or stalled.
    """

    path: Path
    status: str
