"""Looking again and again: often while something goes on, seldom while nothing does."""

from __future__ import annotations

from collections.abc import Callable

from textual.message_pump import MessagePump
from textual.timer import Timer


class Poll:
    """Calls a function of a widget or app at one of two paces, which it chooses anew after every call.

    A timer that finds nothing still wakes the process, so an idle studio has few of them.

    Attributes:
        is_often: the pace now.
    """

    def __init__(
        self, owner: MessagePump, look: Callable[[], None], is_busy: Callable[[], bool], often: float, seldom: float
    ) -> None:
        """A poll that begins at once, at the pace for busy times.

        Args:
            owner: has the timer, and ends it with itself.
            look: what is called.
            is_busy: whether to look often from now on.
            often: seconds between two calls in busy times.
            seldom: seconds between two calls otherwise.
        """
        self._owner = owner
        self._look = look
        self._is_busy = is_busy
        self._seconds = {True: often, False: seldom}
        self.is_often = True
        self._timer: Timer | None = None
        self.hurry()

    def hurry(self) -> None:
        """Look often from now on, as something has just begun."""
        if self._timer is None or not self.is_often:
            self._set_pace(is_often=True)

    def stop(self) -> None:
        """Look no more until `hurry`."""
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
