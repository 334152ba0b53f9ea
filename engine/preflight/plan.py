"""Plan of a run before it starts: its steps, its parameter groups, and the learning rate of every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..build import Prepared, prepare
from ..config import RunConfig
from ..data.loading.loaders import num_train_steps
from ..metric_names import Metric
from ..training.compute.objective import DecisiveMetrics
from ..training.optimization.optimizers import build_optimizer, implementation
from ..training.optimization.parameter_groups import group_lines, plan_groups
from ..training.optimization.schedules import Schedule, build_schedule, count_as_stepped
from ..user_code import short_spec

# A longer schedule takes seconds to simulate, and no screen shows as many steps.
_MOST_STEPS = 300_000


@dataclass(frozen=True)
class RunPlan:
    """A run that could start.

    Attributes:
        epochs: epochs of the run.
        steps_per_epoch: optimizer steps of an epoch.
        loss: its name, with what it is measured by.
        optimizer: its name, and which form of its update torch runs.
        groups: the groups of weights, a line each.
        rates: learning rate of each step, for the group that is shown; empty if unknown.
        lowest_rates: learning rates of the group with the lowest rate; equal to `rates` if there is one group.
        rates_note: remark about the learning rate.
        notes: remarks for the user before the start.
    """

    epochs: int
    steps_per_epoch: int
    loss: str
    optimizer: str
    groups: list[str]
    rates: list[float]
    lowest_rates: list[float]
    rates_note: str
    notes: list[str]


def plan_run(
    config: RunConfig, progress: Callable[[str, int, int], None] = lambda message, done, total: None
) -> RunPlan:
    """Check and build everything as a run would, and go through its schedule. Writes nothing.

    Raises:
        TorchdeckError: whatever a start would be refused for.
    """
    return plan_prepared(prepare(config, progress))


def plan_prepared(prepared: Prepared) -> RunPlan:
    """The plan of a run that is checked and built."""
    config = prepared.config
    steps_per_epoch = num_train_steps(prepared.sources, config)
    groups = plan_groups(config.optimizer, prepared.model)
    optimizer = build_optimizer(config.optimizer, prepared.model)
    objective = prepared.objective
    watched = DecisiveMetrics.of(config, objective).schedule
    rates, lowest, note = rates_of_steps(config, optimizer, steps_per_epoch, watched)
    return RunPlan(
        epochs=config.training.epochs,
        steps_per_epoch=steps_per_epoch,
        loss=f"{objective.name}, {objective.num_outputs} outputs",
        optimizer=", ".join(filter(None, [short_spec(config.optimizer.name), implementation(optimizer)])),
        groups=group_lines(groups, config.optimizer.lr),
        rates=rates,
        lowest_rates=lowest,
        rates_note=note,
        notes=prepared.notes,
    )


def rates_of_steps(
    config: RunConfig, optimizer: torch.optim.Optimizer, steps_per_epoch: int, watched: Metric
) -> tuple[list[float], list[float], str]:
    """The rates that the schedule sets on an optimizer, which does no step.

    Args:
        config: the run.
        optimizer: optimizer whose rates are set.
        steps_per_epoch: optimizer steps of an epoch.
        watched: metric that ReduceLROnPlateau would watch.

    Returns:
        For each step the rate of the first group and the lowest of any group, both empty if there are too many steps;
        and a remark about them.
    """
    total = steps_per_epoch * config.training.epochs
    if total > _MOST_STEPS:
        return [], [], f"{total:,} steps are too many to simulate"
    schedule = build_schedule(
        config.schedule,
        optimizer,
        steps_per_epoch=steps_per_epoch,
        epochs=config.training.epochs,
        watched=watched,
    )
    count_as_stepped(optimizer)
    rates, lowest = _go_through(schedule, optimizer, steps_per_epoch, config.training.epochs)
    note = ""
    if schedule.watches_metric:
        note = f"falls when the validation {watched.name} stops improving, which is not known in advance"
    return rates, lowest, note


def _go_through(
    schedule: Schedule, optimizer: torch.optim.Optimizer, steps_per_epoch: int, epochs: int
) -> tuple[list[float], list[float]]:
    rates, lowest = [], []
    for _ in range(epochs):
        for _ in range(steps_per_epoch):
            rates.append(schedule.learning_rate)
            lowest.append(min(float(group["lr"]) for group in optimizer.param_groups))
            schedule.after_step()
        schedule.after_epoch()
    return rates, lowest
