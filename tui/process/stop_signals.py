"""Signals that ask a process to end: the first is remembered and obeyed in turn, a second one ends it at once.

A signal to a whole group of processes reaches one behind its parent twice: directly, and passed on by that. The second
of these is the same request.

A hang-up is another matter: a run outlives its terminal, and anything else ends with it.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Literal

from .parent import PASSED_ON

if TYPE_CHECKING:
    from torchdeck.engine.launching.followed_run import FollowedRun

STOP_SIGNALS = (signal.SIGINT, signal.SIGQUIT, *PASSED_ON)
_SAME_REQUEST_SECONDS = 1.0


class StopSignals:
    """Handles STOP_SIGNALS (Ctrl-C, Ctrl-\\, SIGTERM, SIGUSR1, …) from when it is made to the end of the process.

    Make it in the main thread, and before an event loop that would set handlers of its own.

    Attributes:
        received: number of the first signal that came; 0 while none did.
        has_hung_up: whether a hang-up came that does not end the process.
    """

    def __init__(
        self,
        on_first: Callable[[], object] = lambda: None,
        *,
        hang_up: Literal["ends", "is outlived", "is handled elsewhere"] = "ends",
    ) -> None:
        """Set the handlers.

        Args:
            on_first: called in the handler of the first signal, which may have interrupted the main thread anywhere:
                it must take no lock that this thread may hold.
            hang_up: what SIGHUP does. Under `nohup`, which ignores it, it does nothing in any case.
        """
        self.received = 0
        self._received_at = 0.0
        self.has_hung_up = False
        self._on_first = on_first
        self._is_passed_on = False
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        if hang_up != "is handled elsewhere" and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_signal if hang_up == "ends" else self._on_outlived)

    @property
    def name(self) -> str:
        """Name of the first signal, such as "SIGTERM"; empty while none came."""
        return signal.Signals(self.received).name if self.received else ""

    @property
    def exit_status(self) -> int:
        """What the process ends with after the first signal, as shells count it; 0 while none came."""
        return 128 + self.received if self.received else 0

    def pass_on(self, run: FollowedRun) -> None:
        """Ask a run to save and stop after its next step, once, if a signal came. Not from a handler."""
        if self.received and not self._is_passed_on:
            self._is_passed_on = True
            run.stop(after="step", reason=self.name)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received == number and number in PASSED_ON and now - self._received_at < _SAME_REQUEST_SECONDS:
            return
        if number == signal.SIGXCPU:
            # The kernel repeats it with every second of processor time beyond the limit, also while Python ends.
            signal.signal(number, signal.SIG_IGN)
        if self.received:
            os._exit(128 + number)
        self.received, self._received_at = number, now
        self._on_first()

    def _on_outlived(self, number: int, frame: FrameType | None) -> None:
        self.has_hung_up = True
