"""Polling: often while something happens, rarely while nothing does."""

from __future__ import annotations

from collections.abc import Callable

from textual.message_pump import MessagePump
from textual.timer import Timer

BYTES_PER_LOOK = 4 << 20
"""Bytes of records that are read at once: of a very long run about 0.1 s, so that keys stay responsive."""


class Poll:
    """Calls a function of a widget or app at one of two rates, chosen again after every call.

    A timer wakes the process even if nothing has changed, so an idle studio polls rarely.

    Attributes:
        is_often: whether it polls at the fast rate now.
    """

    def __init__(
        self, owner: MessagePump, look: Callable[[], None], is_busy: Callable[[], bool], often: float, seldom: float
    ) -> None:
        """Start polling at once, at the fast rate.

        Args:
            owner: widget or app that owns the timer; the timer ends with it.
            look: function to call.
            is_busy: function that says whether to poll at the fast rate.
            often: seconds between two calls at the fast rate.
            seldom: seconds between two calls at the slow rate.
        """
        self._owner = owner
        self._look = look
        self._is_busy = is_busy
        self._seconds = {True: often, False: seldom}
        self.is_often = True
        self._timer: Timer | None = None
        self.hurry()

    def hurry(self) -> None:
        """Switch to the fast rate, because something has just started."""
        if self._timer is None or not self.is_often:
            self._set_pace(is_often=True)

    def stop(self) -> None:
        """Stop polling until `hurry`."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = None

    def _set_pace(self, *, is_often: bool) -> None:
        self.stop()
        self.is_often = is_often
        self._timer = self._owner.set_interval(self._seconds[is_often], self._tick)

    def _tick(self) -> None:
        self._look()
        if self._timer is not None and self._is_busy() != self.is_often:
            self._set_pace(is_often=not self.is_often)
