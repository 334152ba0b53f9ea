"""Requests of panes to the studio. A pane posts one, the studio acts, and the pane sees the changed state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from torchdeck.engine.config import RunConfig
from torchdeck.engine.runs.commands import Command


@dataclass
class DraftEdited(Message):
    """Change one value of the draft, as `--set KEY=TEXT` would.

    Args:
        key: dotted key, such as "training.epochs".
        text: value as TOML, or as bare text.
    """

    key: str
    text: str


@dataclass
class ArgumentRemoved(Message):
    """Remove a library's argument from the draft, so that the library's default applies.

    Args:
        key: dotted key, such as "optimizer.momentum".
    """

    key: str


@dataclass
class WeightsChosen(Message):
    """Let the draft's model start from the weights in a file.

    Args:
        file: path of the file; empty for none.
    """

    file: str


@dataclass
class DraftReplaced(Message):
    """Replace the draft of the next run by a whole config.

    Args:
        config: the new draft.
        spec: preset or file that it came from; empty if it is a change of the draft.
    """

    config: RunConfig
    spec: str = ""


class StartRequested(Message):
    """Start a run from the draft."""


class QueueRequested(Message):
    """Add the draft to the queue of this machine."""


@dataclass
class ResumeRequested(Message):
    """Resume a run.

    Args:
        run: directory of the run.
        checkpoint: file to resume from; None for the newest valid one.
        epochs: number of epochs in all; 0 for as many as the run has.
    """

    run: Path
    checkpoint: Path | None = None
    epochs: int = 0


@dataclass
class CommandRequested(Message):
    """Send a command to the watched run: pause, resume, save, stop, set, profile."""

    command: Command


@dataclass
class WatchRequested(Message):
    """Show a run in the train pane."""

    run: Path
