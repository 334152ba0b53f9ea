"""What follows a run that was launched: in a thread of this process, or in processes of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from ..runs.commands import Answer, Command
from .launched_run import Status


class FollowedRun(Protocol):
    """A run that was launched.

    Attributes:
        path: the run's directory; None until it is made.
        status: current or final status.
        message: current step of the preparation, for display.
        error: why it failed.
        outlives_us: whether it trains on when this process ends.
    """

    path: Path | None
    status: Status
    message: str
    error: BaseException | None
    outlives_us: bool

    @property
    def is_alive(self) -> bool:
        """Whether it still trains or prepares."""
        ...

    @property
    def write_error(self) -> str:
        """Which of its records can't be written at the moment and why; empty if all can, or if only it knows."""
        ...

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, with short timeouts."""
        ...

    def submit(self, command: Command) -> Answer:
        """Hand it a command before it has a directory, and with that a socket."""
        ...

    def stop(self, after: Literal["step", "epoch"] = "step", reason: str = "") -> None:
        """Ask it to save and end at the next boundary."""
        ...

    def save_if_stalled(self) -> bool:
        """Save a run that was told to stop and can't; True where this process has to end by `os._exit` then."""
        ...
