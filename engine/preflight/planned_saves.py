"""How many checkpoints a run will save and keep, from its settings and its steps."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import RunConfig
from ..runs.saving.checkpoint_index import IndexEntry
from ..runs.saving.retention import Retention


@dataclass(frozen=True)
class PlannedSaves:
    """The checkpoints of a run that trains to its end.

    Attributes:
        count: number of checkpoints that are saved, each at a step of its own.
        kept: number of those that are on the disk at the end, the best among them; at most, if there are more.
        is_exact: whether there are no more: others are saved by time, or because they are the best so far.
    """

    count: int
    kept: int
    is_exact: bool


def planned_saves(config: RunConfig, steps_per_epoch: int) -> PlannedSaves:
    """Count the saves of a run.

    Args:
        config: settings of the run.
        steps_per_epoch: optimizer steps of an epoch.
    """
    settings, epochs = config.checkpoint, config.training.epochs
    every_epochs, every_steps = settings.every_epochs, settings.every_steps
    epoch_at: dict[int, int] = {}
    if every_steps:
        # The last step of an epoch is saved before the epoch counts as complete.
        steps = range(every_steps, steps_per_epoch * epochs + 1, every_steps)
        epoch_at = {step: (step - 1) // steps_per_epoch for step in steps}
    # The end of the run is saved whatever the settings say.
    saved = {*(range(every_epochs, epochs + 1, every_epochs) if every_epochs else ()), epochs}
    epoch_at |= {epoch * steps_per_epoch: epoch for epoch in saved}
    surplus = Retention(settings.keep_last, settings.keep_every).surplus(
        {str(step): IndexEntry(step, epoch, {}, "", False, 0, 0) for step, epoch in epoch_at.items()}, frozenset()
    )
    saves_between = bool(config.evaluation.every_steps and (every_epochs or every_steps))
    is_exact = every_epochs in (0, 1) and not settings.every_minutes and not saves_between
    kept = len(epoch_at) - len(surplus)
    if not is_exact:
        kept += max(0, settings.keep_last - len(epoch_at))
    # The best may be one of those that would be deleted.
    if (every_epochs or saves_between) and (surplus or not is_exact):
        kept += 1
    return PlannedSaves(len(epoch_at), kept, is_exact)
