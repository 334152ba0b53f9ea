"""Notices a loss that leaves the range where training makes sense, long before it is infinite."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

# The median of this many steps: a single hard batch is not a divergence.
_WINDOW = 5
# Times the loss of the first step, which no update has touched yet. Where a run resumes, its first loss is already
# low, and noise alone multiplies it.
_FACTOR, _FACTOR_AFTER_RESUME = 5.0, 100.0
# Over again when the loss is back below this share of the bound.
_RECOVERED = 0.5


class LossWatch:
    """Watches the losses of a run's steps; says once that they explode, and again only after they recovered."""

    def __init__(self, *, is_resumed: bool) -> None:
        """Begin with the next loss as the reference.

        Args:
            is_resumed: whether steps were trained before it.
        """
        self._factor = _FACTOR_AFTER_RESUME if is_resumed else _FACTOR
        self._first: float | None = None
        self._newest: deque[float] = deque(maxlen=_WINDOW)
        self._is_exploding = False

    def look(self, losses: Sequence[float], step: int) -> str:
        """Take the losses of the newest steps, and return what is wrong since then; empty when nothing is.

        Args:
            losses: one per step, finite, in order.
            step: number of the last of them.
        """
        found = ""
        for offset, loss in enumerate(losses, start=1 - len(losses)):
            if not self._first:
                # A step that counted nothing has a loss of 0, and is no reference.
                self._first = abs(loss)
            self._newest.append(abs(loss))
            found = self._judge(step + offset) or found
        return found

    def _judge(self, step: int) -> str:
        assert self._first is not None
        if len(self._newest) < _WINDOW:
            return ""
        usual, bound = statistics.median(self._newest), self._factor * self._first
        if self._is_exploding:
            self._is_exploding = usual > _RECOVERED * bound
            return ""
        if usual <= bound or not self._first:
            return ""
        self._is_exploding = True
        return (
            f"the loss explodes: {usual:.3g} around step {step:,}, {usual / self._first:,.0f} times that of the first "
            "step; lower optimizer.lr, or set training.clip_norm = 1"
        )
