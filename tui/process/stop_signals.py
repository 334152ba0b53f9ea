"""Signals that ask a process to end: the first is remembered and obeyed in turn, a second one ends it at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torchdeck.engine.launching.launched_run import LaunchedRun

# SIGUSR1 is what batch systems send before a job's time is over.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Handles Ctrl-C, SIGTERM and SIGUSR1 from when it is made to the end of the process.

    Make it in the main thread, and before an event loop that would set handlers of its own.

    Attributes:
        received: number of the first signal that came; 0 while none did.
    """

    def __init__(self, on_first: Callable[[], object] = lambda: None) -> None:
        """Set the handlers.

        Args:
            on_first: called in the handler of the first signal, which may have interrupted the main thread anywhere:
                it must take no lock that this thread may hold.
        """
        self.received = 0
        self._on_first = on_first
        self._is_passed_on = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    @property
    def name(self) -> str:
        """Name of the first signal, such as "SIGTERM"; empty while none came."""
        return signal.Signals(self.received).name if self.received else ""

    @property
    def exit_status(self) -> int:
        """What the process ends with after the first signal, as shells count it; 0 while none came."""
        return 128 + self.received if self.received else 0

    def pass_on(self, run: LaunchedRun) -> None:
        """Ask a run to save and stop after its next step, once, if a signal came. Not from a handler."""
        if self.received and not self._is_passed_on:
            self._is_passed_on = True
            run.stop(after="step", reason=self.name)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            os._exit(128 + number)
        self.received = number
        self._on_first()
