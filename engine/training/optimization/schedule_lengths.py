"""How long a schedule is, against the run whose learning rates it sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...config import ScheduleConfig
from ...errors import ConfigError
from ...plurals import plural

# The argument of each schedule of torch that says how long it is. CyclicLR's is half of a cycle.
LENGTHS = {
    "ConstantLR": "total_iters",
    "CosineAnnealingLR": "T_max",
    "CosineAnnealingWarmRestarts": "T_0",
    "CyclicLR": "step_size_up",
    "LinearLR": "total_iters",
    "OneCycleLR": "total_steps",
    "PolynomialLR": "total_iters",
}
# What happens to the learning rate after the end of a schedule that is over before the run.
_AFTER_THE_END = {
    "CosineAnnealingLR": "the learning rate rises again",
    "PolynomialLR": "the learning rate is 0",
}


def fitted_warmup(warmup_epochs: float, epochs: int) -> float:
    """The warm-up in epochs: as configured, or half of the run where it would leave nothing after it."""
    return warmup_epochs if warmup_epochs < epochs else epochs / 2


def warmup_note(warmup_epochs: float, epochs: int) -> str:
    """What is said of a warm-up that does not fit into the run; empty where it does."""
    fitted = fitted_warmup(warmup_epochs, epochs)
    if fitted == warmup_epochs:
        return ""
    return (
        f"schedule.warmup_epochs = {warmup_epochs:g} does not fit into {plural(epochs, 'epoch')} of "
        f"training: the warm-up takes {fitted:g}"
    )


def advances(config: ScheduleConfig, *, steps_per_epoch: int, epochs: int) -> int:
    """How often the schedule advances in the run: after each step, or epoch, that follows the warm-up."""
    warmup = fitted_warmup(config.warmup_epochs, epochs)
    if config.interval == "epoch":
        return max(1, epochs - int(warmup))
    return max(1, epochs * steps_per_epoch - round(warmup * steps_per_epoch))


def run_lengths(length: int) -> dict[str, int]:
    """What arguments that say a length are where the config leaves them out: the schedule ends with the run."""
    return {**dict.fromkeys(LENGTHS.values(), length), "step_size_up": max(1, length // 2)}


def length_note(config: ScheduleConfig, *, steps_per_epoch: int, epochs: int) -> str:
    """What is said of a schedule of torch whose own length is not the run's; empty where nothing needs to be.

    Raises:
        ConfigError: the run would go on where the schedule refuses to.
    """
    given = _given_length(config.name, config.arguments)
    length = advances(config, steps_per_epoch=steps_per_epoch, epochs=epochs)
    if given is None or given >= length:
        return ""
    name, unit = LENGTHS[config.name], f"{config.interval}s"
    if config.name == "OneCycleLR":
        raise ConfigError(
            f"schedule OneCycleLR: its {given} {unit} are over before the {length} {unit} of the run that follow the "
            f"warm-up; leave {name} out, and it ends with the run"
        )
    if config.name not in _AFTER_THE_END:
        return ""
    return (
        f"schedule.{name} = {given}: {_AFTER_THE_END[config.name]} after {given} of the {length} {unit} that follow "
        f"the warm-up; leave {name} out, and the schedule ends with the run"
    )


def _given_length(name: str, arguments: Mapping[str, Any]) -> int | None:
    """The length that the config itself gives; None where it gives none."""
    if {"epochs", "steps_per_epoch"} <= arguments.keys() and name == "OneCycleLR":
        return int(arguments["epochs"]) * int(arguments["steps_per_epoch"])
    given = arguments.get(LENGTHS.get(name, ""))
    return int(given) if isinstance(given, int | float) else None
