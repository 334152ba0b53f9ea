"""Why a run says what it says: the mechanism behind an alert or a piece of advice, and what helps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# By kind of event; of gradients, by the problem.
_REASONS = {
    "advice": (
        "Adam divides each step by the recent size of the gradients. Near a minimum the gradients shrink, and the "
        "divisor with them, so the steps stay as large as before and throw the weights to and fro: the score jumps "
        "though the loss of the training batches falls. The steps of SGD shrink with the gradients. A lower "
        "optimizer.lr, a schedule that ends near 0, or averaged weights (ema.decay) calm the score too."
    ),
    "loss": (
        "Each step overshoots the minimum by more than the previous one, so the loss grows with every step until it "
        "is infinite. Most often optimizer.lr is too high; warm-up (schedule.warmup_epochs), training.clip_norm and "
        "normalized inputs allow higher rates. Weights from after this point are not worth keeping: resume from a "
        "checkpoint before it."
    ),
    "exploding": (
        "The gradient of this module is many times as large as in the looks before: one batch moves the weights "
        "further than all others together. training.clip_norm bounds the step; a lower optimizer.lr, warm-up or a "
        "normalization layer before the module remove the cause. A single outlier in the data does it too."
    ),
    "vanishing": (
        "The gradient is so small beside the weights that this module hardly learns. Saturated activations (sigmoid, "
        "tanh), ReLUs that are 0 for every sample, many layers without skip connections or normalization, and an "
        "initialization that is too small lead to this."
    ),
    "non-finite": (
        "A value overflowed on the way back: log or division of 0, a norm of a zero vector, or float16 without loss "
        "scaling. With a GradScaler single ones are usual: it skips the step and lowers its scale. Without one, the "
        "weights become NaN at the next step."
    ),
    "rolled_back": (
        "After a NaN or infinite loss no later step can recover, since the weights hold it. The run went back to its "
        "newest good checkpoint and continues at a lower rate (training.rollback_lr_factor), at most "
        "training.max_rollbacks times."
    ),
    "out_of_memory": (
        "The batch with its activations did not fit. It is trained in parts whose gradients add up to those of the "
        "whole batch, so the result stays that of loader.batch_size; batch normalization alone sees smaller parts. A "
        'smaller batch with training.accumulate, or training.precision = "bf16", avoids the attempts.'
    ),
    "stalled": (
        "No step and no evaluation was finished for several times as long as usual. Usual causes: data on a network "
        "file system, a DataLoader worker that waits for a lock, another program on the device, a laptop asleep."
    ),
    "stopped_early": (
        "The metric did not improve for early_stopping.patience evaluations. The best checkpoint is that of its best "
        "evaluation; a resume with a larger patience trains on."
    ),
    "lock_lost": (
        "run.lock is how other processes see that this run is being trained. Without it a second process could "
        "resume beside this one; programs that purge scratch folders remove such files."
    ),
}


@dataclass(frozen=True)
class Explained:
    """An event with its reason.

    Attributes:
        kind: kind of the event.
        step: optimizer steps done when it was recorded; None if it does not say.
        text: what the run said.
        why: the mechanism, and what helps.
    """

    kind: str
    step: int | None
    text: str
    why: str


def why(event: Mapping[str, Any]) -> str:
    """Why a run recorded an event, and what helps; empty for events that need no reason."""
    kind = str(event.get("kind"))
    return _REASONS.get(str(event.get("problem")) if kind == "gradients" else kind, "")


def explained(events: Iterable[Mapping[str, Any]]) -> list[Explained]:
    """The newest event of each reason, newest first."""
    found: dict[str, Explained] = {}
    for event in events:
        if reason := why(event):
            step = event.get("step")
            found.pop(reason, None)
            found[reason] = Explained(
                str(event["kind"]), step if type(step) is int else None, str(event.get("text", "")), reason
            )
    return list(reversed(found.values()))
