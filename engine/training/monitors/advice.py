"""Advice on a run that goes wrong in a way that a setting is known to help with."""

from __future__ import annotations

import itertools
from collections import deque

# So many evaluations are looked at; the score has to turn around at least so often among them.
_EVALUATIONS, _TURNS = 6, 3
# On average it has to move by this much from one to the next, as a share of 1.
_SMALLEST_JUMP = 0.02
# And the total change has to be this many times as long as the net change.
_WASTE = 3.0


class OscillationAdvice:
    """Suggests SGD where a score jumps up and down under an optimizer of Adam's family; once per run.

    Adam divides each step by the recent size of the gradients. Near a minimum the gradients shrink, and the divisor
    with them, so that its steps stay as large as before and throw the weights to and fro; those of SGD shrink.
    """

    def __init__(self, optimizer: str) -> None:
        """Begin with no evaluation.

        Args:
            optimizer: name of the optimizer, as in the config.
        """
        self._optimizer = optimizer
        self._is_open = "adam" in optimizer.lower()
        self._scores: deque[float] = deque(maxlen=_EVALUATIONS)

    def look(self, name: str, score: float) -> str:
        """Take the score of an evaluation, and return the advice; empty when there is none.

        Args:
            name: name of the score, for messages.
            score: between 0 and 1, larger is better.
        """
        self._scores.append(score)
        if not self._is_open or not _oscillates(list(self._scores)):
            return ""
        self._is_open = False
        shown = ", ".join(f"{value:.0%}" for value in self._scores)
        return (
            f"{name} jumps ({shown}) under {self._optimizer}: its steps don't shrink near a minimum; try "
            'optimizer.name = "SGD" with momentum = 0.9 and about ten times the learning rate, or a lower optimizer.lr'
        )


def _oscillates(scores: list[float]) -> bool:
    if len(scores) < _EVALUATIONS:
        return False
    moves = [after - before for before, after in itertools.pairwise(scores)]
    turns = sum(one * next_one < 0 for one, next_one in itertools.pairwise(moves))
    way = sum(map(abs, moves))
    return turns >= _TURNS and way / len(moves) >= _SMALLEST_JUMP and way >= _WASTE * abs(scores[-1] - scores[0])
