"""Resume from a checkpoint with changed settings: replace the parts of its state that they affect."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch

from ..config import RunConfig
from ..runs.saving.checkpoint_format import Checkpoint
from .optimization.schedules import Schedule, advance, depends_on_length
from .state import Position, RunState

# A change of one of these moves the learning rates of the whole run, or the steps they are counted in.
_MOVES_THE_SCHEDULE = {
    "optimizer.name",
    "optimizer.lr",
    "loader.batch_size",
    "loader.drop_last",
    "loader.sampler",
    "loader.num_samples",
    "loader.subset",
    "loader.batch_sampler",
    "training.accumulate",
}

# Another one of these sorts the weights into other groups.
_REGROUPS = {"optimizer.name", "optimizer.groups", "optimizer.decay_1d", "optimizer.layer_decay"}


def restore_changed(
    state: RunState, checkpoint: Checkpoint, saved: RunConfig, config: RunConfig, changed: Collection[str]
) -> None:
    """Take over a checkpoint's state as far as the settings that were changed since let it stand.

    Changed arguments of the optimizer hold from here on. Where the learning rates of the run are others, they are
    those that a run with the new settings has after as many epochs, however many steps these took; a factor that was
    set while the run trained stays, unless `optimizer.lr` itself was changed. Another optimizer, or the same with
    other groups, starts without the old one's averages.

    Args:
        state: freshly built from `config`.
        checkpoint: content from `load_checkpoint`.
        saved: the config that the checkpoint was saved with.
        config: config to continue with.
        changed: the dotted keys in which they differ.

    Raises:
        CheckpointError: it belongs to another model, or lacks a part.
    """
    moves = _moves_schedule(config, changed, state.schedule)
    position = Position(**checkpoint["position"])
    _count_in_new_steps(position, saved, config, state.steps_per_epoch)
    if moves:
        _replay(state.schedule, state.optimizer, position, state.steps_per_epoch)
    own_options = _options(state.optimizer)
    keeps_optimizer = not _REGROUPS.intersection(changed)
    state.restore(checkpoint, with_optimizer=keeps_optimizer, with_schedule=not moves)
    arguments = {key.partition(".")[2] for key in changed if key.startswith("optimizer.")} - {"name", "lr"}
    for group, own in zip(state.optimizer.param_groups, own_options, strict=True):
        group.update(own if moves else {name: own[name] for name in arguments & own.keys()})
        for name in arguments - own.keys():
            group.pop(name, None)
    live_factor = float(checkpoint["scheduler_state_dict"].get("factor", 1.0))
    if moves and "optimizer.lr" not in changed:
        state.schedule.scale(live_factor)
    elif not moves and "optimizer.lr" in changed:
        state.schedule.scale(config.optimizer.lr / (saved.optimizer.lr * live_factor))
    state.position.step_in_epoch = position.step_in_epoch


def _moves_schedule(config: RunConfig, changed: Collection[str], schedule: Schedule) -> bool:
    """Whether the learning rates have to be recomputed from the first step."""
    if any(key.startswith("schedule.") for key in changed) or _REGROUPS.intersection(changed):
        return True
    if schedule.watches_metric:
        # Its rates depend on the losses; recomputing would lose that.
        return False
    if "training.epochs" in changed and depends_on_length(config.schedule):
        return True
    return any(key in _MOVES_THE_SCHEDULE or key.startswith("data.") for key in changed)


def _replay(schedule: Schedule, optimizer: torch.optim.Optimizer, position: Position, steps_per_epoch: int) -> None:
    """Advance a fresh schedule to a position: epochs done, and steps of the running one."""
    advance(schedule, optimizer, epochs=position.epoch, steps_per_epoch=steps_per_epoch)
    for _ in range(position.step_in_epoch):
        schedule.after_step()


def _options(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def _count_in_new_steps(position: Position, saved: RunConfig, config: RunConfig, steps_per_epoch: int) -> None:
    """Continue after the samples already seen in this epoch if the size of a step, or of the epoch, differs."""
    before = saved.loader.batch_size * saved.training.accumulate
    after = config.loader.batch_size * config.training.accumulate
    if before != after:
        position.step_in_epoch = -(-position.step_in_epoch * before // after)
    position.step_in_epoch = min(position.step_in_epoch, steps_per_epoch)
