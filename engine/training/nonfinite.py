"""Error for a NaN or infinite loss or weight, with its message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import TorchdeckError

if TYPE_CHECKING:
    from .state import RunState


class NonFiniteLossError(TorchdeckError):
    """The loss or a weight is NaN or infinite: no later step can repair it.

    Attributes:
        step: the optimizer step, from 1, whose loss it was; 0 when it is a weight.
    """

    def __init__(self, message: str, step: int) -> None:
        super().__init__(message)
        self.step = step


def diverged(what: str, step: int, state: RunState) -> str:
    """The message of a run that can't continue: `what` happened at or after `step`, and what to do."""
    return (
        f"{what} step {step} of epoch {state.position.epoch + 1} (learning rate "
        f"{state.schedule.learning_rate:g}): training stopped. Checkpoints saved before have finite weights; "
        "resume from one, or start again, with a lower optimizer.lr, training.clip_norm = 1 or "
        'training.on_nonfinite = "rollback"'
    )
