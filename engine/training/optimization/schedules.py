"""Learning-rate schedules: any of torch.optim.lr_scheduler by name, after an optional linear warm-up."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.optim import lr_scheduler

from ...config import ScheduleConfig
from ...errors import ConfigError, did_you_mean
from ...metric_names import AUTO, metric
from .library_arguments import check_keywords, with_tuples

CONSTANT = "constant"
_TAKES_A_FUNCTION = ("LambdaLR", "MultiplicativeLR")
_COMPOSITE = ("SequentialLR", "ChainedScheduler")


class Schedule:
    """The learning rate over a run, advanced once a step and once an epoch.

    During the warm-up, step `s` of `w` runs at `(s + 1) / w` of the schedule's first learning rate; the schedule
    itself begins after it.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        main: lr_scheduler.LRScheduler | None,
        *,
        interval: str,
        warmup_steps: int,
        metric: str = "loss",
    ) -> None:
        self._optimizer = optimizer
        self._main = main
        self._interval = interval
        self._metric = metric
        self._watches = isinstance(main, lr_scheduler.ReduceLROnPlateau)
        self._warmup_steps = warmup_steps
        self._first_rates = [group["lr"] for group in optimizer.param_groups]
        self._step = 0
        self._factor = 1.0
        self._set_warmup_rate()

    @property
    def learning_rate(self) -> float:
        """The rate of the next step, of the first parameter group."""
        return float(self._optimizer.param_groups[0]["lr"])

    def after_step(self) -> None:
        """Advance by one optimizer step."""
        self._step += 1
        if self._step < self._warmup_steps:
            self._set_warmup_rate()
        elif self._step == self._warmup_steps:
            self._set_rates(self._first_rates)
        elif self._main is not None and self._interval == "step" and not self._watches:
            self._main.step()

    def after_epoch(self) -> None:
        """Advance by one epoch."""
        if self._main is not None and self._interval == "epoch" and not self._watches and not self._is_warming_up:
            self._main.step()

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Let ReduceLROnPlateau look at the metrics of an evaluation."""
        if isinstance(self._main, lr_scheduler.ReduceLROnPlateau) and not self._is_warming_up:
            self._main.step(metrics[self._metric])

    @property
    def _is_warming_up(self) -> bool:
        return self._warmup_steps > 0 and self._step <= self._warmup_steps

    def scale(self, factor: float) -> None:
        """Multiply the current and every later learning rate by `factor`."""
        self._factor *= factor
        self._first_rates = [rate * factor for rate in self._first_rates]
        for group in self._optimizer.param_groups:
            for key in ("lr", "initial_lr", "max_lr", "min_lr"):
                if isinstance(group.get(key), float):
                    group[key] *= factor
        for name in ("base_lrs", "max_lrs"):
            if hasattr(self._main, name):
                setattr(self._main, name, [rate * factor for rate in getattr(self._main, name)])

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors only, for a checkpoint."""
        main = self._main.state_dict() if self._main is not None else None
        return {"step": self._step, "first_rates": list(self._first_rates), "factor": self._factor, "main": main}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken. The optimizer's own state holds the current rates."""
        self._step = state["step"]
        self._first_rates = list(state["first_rates"])
        self._factor = state.get("factor", 1.0)
        if self._main is not None and state["main"] is not None:
            self._main.load_state_dict(state["main"])

    def _set_warmup_rate(self) -> None:
        if self._step < self._warmup_steps:
            fraction = (self._step + 1) / self._warmup_steps
            self._set_rates([rate * fraction for rate in self._first_rates])

    def _set_rates(self, rates: list[float]) -> None:
        for group, rate in zip(self._optimizer.param_groups, rates, strict=True):
            group["lr"] = rate


@dataclass(frozen=True)
class ScheduleEntry:
    """A schedule of the installed torch: its name, first line of documentation and parameters."""

    name: str
    summary: str
    parameters: list[str]


def list_schedules() -> list[ScheduleEntry]:
    """Every schedule of the installed torch that a config can describe, sorted by name, "constant" first."""
    entries = [ScheduleEntry(CONSTANT, "The optimizer's learning rate throughout.", [])]
    for name, schedule_class in sorted(_schedule_classes().items()):
        lines = (inspect.getdoc(schedule_class) or "").splitlines()
        parameters = [key for key in inspect.signature(schedule_class).parameters if key not in ("self", "optimizer")]
        entries.append(ScheduleEntry(name, lines[0] if lines else "", parameters))
    return entries


def check_schedule(config: ScheduleConfig, learning_rate: float) -> None:
    """Check the name and every argument by building the schedule on a small optimizer. Raises ConfigError."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate, momentum=0.9)
    build_schedule(config, optimizer, steps_per_epoch=10, epochs=10)


def build_schedule(
    config: ScheduleConfig, optimizer: torch.optim.Optimizer, *, steps_per_epoch: int, epochs: int
) -> Schedule:
    """The schedule over `epochs` of `steps_per_epoch` optimizer steps.

    Lengths that a schedule needs and the config doesn't give (`T_max`, `total_steps`) are what is left of the run
    after the warm-up; OneCycleLR's and CyclicLR's `max_lr` is the optimizer's learning rate.

    Raises:
        ConfigError: unknown name or argument, a value that the schedule refuses, or one that takes a function.
    """
    warmup_steps = round(config.warmup_epochs * steps_per_epoch)
    if config.name == CONSTANT:
        if config.arguments:
            raise ConfigError(f"schedule constant: takes no arguments, got '{next(iter(config.arguments))}'")
        return Schedule(optimizer, None, interval=config.interval, warmup_steps=warmup_steps)
    where = f"schedule {config.name}"
    if config.name in _TAKES_A_FUNCTION:
        raise ConfigError(f"{where}: takes a Python function, which a config can't hold; use another schedule")
    if config.name in _COMPOSITE:
        raise ConfigError(f"{where}: is made of other schedules; name one of them, with warmup_epochs before it")
    classes = _schedule_classes()
    schedule_class = classes.get(config.name)
    if schedule_class is None:
        known = [CONSTANT, *classes]
        raise ConfigError(
            f"schedule.name = '{config.name}': not in torch.optim.lr_scheduler{did_you_mean(config.name, known)}"
        )
    parameters = inspect.signature(schedule_class).parameters
    length = epochs - int(config.warmup_epochs)
    if config.interval == "step":
        length = epochs * steps_per_epoch - warmup_steps
    filled: dict[str, Any] = {
        "T_max": max(1, length),
        "total_steps": max(1, length),
        "max_lr": _rates_of(optimizer),
    }
    if {"epochs", "steps_per_epoch"} & config.arguments.keys():
        del filled["total_steps"]
    arguments: dict[str, Any] = {name: value for name, value in filled.items() if name in parameters}
    if config.name == "ReduceLROnPlateau" and config.metric != AUTO and metric(config.metric).larger_is_better:
        arguments["mode"] = "max"
    arguments |= {name: _as_torch_takes_it(name, value) for name, value in config.arguments.items()}
    check_keywords(schedule_class, arguments, where, supplied=frozenset({"optimizer"}))
    try:
        main = schedule_class(optimizer, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{where}: {error}") from error
    watched = "loss" if config.metric == AUTO else config.metric
    return Schedule(optimizer, main, interval=config.interval, warmup_steps=warmup_steps, metric=watched)


def _rates_of(optimizer: torch.optim.Optimizer) -> float | list[float]:
    """The learning rate, or one a group where there are several."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    return rates if len(rates) > 1 else rates[0]


def depends_on_length(config: ScheduleConfig) -> bool:
    """Whether the schedule is stretched over the whole run, so that another number of epochs changes every rate."""
    schedule_class = _schedule_classes().get(config.name)
    if schedule_class is None or {"T_max", "total_steps", "epochs"} & config.arguments.keys():
        return False
    return bool({"T_max", "total_steps"} & inspect.signature(schedule_class).parameters.keys())


def _as_torch_takes_it(name: str, value: Any) -> Any:
    # MultiStepLR bisects its milestones as a list; everything else that is a sequence may be a tuple.
    return value if name == "milestones" else with_tuples({name: value})[name]


def _schedule_classes() -> dict[str, Any]:
    return {
        name: candidate
        for name, candidate in vars(lr_scheduler).items()
        if isinstance(candidate, type)
        and issubclass(candidate, lr_scheduler.LRScheduler)
        and candidate is not lr_scheduler.LRScheduler
        and not name.startswith("_")
        and name not in (*_TAKES_A_FUNCTION, *_COMPOSITE)
    }
