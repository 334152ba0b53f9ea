"""Learning-rate schedules: any of torch.optim.lr_scheduler by name, after an optional linear warm-up."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.optim import lr_scheduler

from ...config import ScheduleConfig
from ...errors import CheckpointError, ConfigError, UserCodeError, did_you_mean
from ...metric_names import Metric, metric, watched_by_schedule
from ...tensor_files.plain_content import check_plain
from ...user_code import accepted_arguments, call_user_code, is_user_spec, load_object, raise_user_error
from .library_arguments import check_keywords, first_parameter, with_tuples
from .schedule_lengths import LENGTHS, advances, fitted_warmup, run_lengths

CONSTANT = "constant"
_LENGTHS = ("T_max", "total_steps", "epochs", "steps_per_epoch")
_TAKES_A_FUNCTION = ("LambdaLR", "MultiplicativeLR")
_COMPOSITE = ("SequentialLR", "ChainedScheduler")


class Schedule:
    """The learning rate over a run, advanced once per step and once per epoch.

    During the warm-up, step `s` of `w` runs at `(s + 1) / w` of the schedule's first learning rate; the schedule
    itself begins after it.

    Attributes:
        watches_metric: whether it follows a metric of the evaluations, and not the steps.
    """

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        main: lr_scheduler.LRScheduler | None,
        *,
        interval: str,
        warmup_steps: int,
        metric: str = "loss",
        name: str = "",
    ) -> None:
        """`name`: what a message calls it."""
        self._optimizer = optimizer
        self._main = main
        self._interval = interval
        self._metric = metric
        self._name = name
        self.watches_metric = isinstance(main, lr_scheduler.ReduceLROnPlateau)
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
        elif self._interval == "step" and not self.watches_metric:
            self._advance()

    def after_epoch(self) -> None:
        """Advance by one epoch."""
        if self._interval == "epoch" and not self.watches_metric and not self._is_warming_up:
            self._advance()

    def after_evaluation(self, metrics: Mapping[str, float]) -> None:
        """Let ReduceLROnPlateau look at the metrics of an evaluation."""
        if self.watches_metric and not self._is_warming_up:
            self._advance(metrics[self._metric])

    def _advance(self, *watched: float) -> None:
        if self._main is None:
            return
        try:
            self._main.step(*watched)  # type: ignore[arg-type]
        except Exception as error:
            if is_user_spec(self._name):
                raise_user_error(error, f"schedule {self._name}: step")
            raise

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
        for schedule in _with_parts(self._main):
            for name in ("base_lrs", "max_lrs"):
                if hasattr(schedule, name):
                    setattr(schedule, name, [rate * factor for rate in getattr(schedule, name)])

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors only, for a checkpoint."""
        main = self._main.state_dict() if self._main is not None else None
        return {"step": self._step, "first_rates": list(self._first_rates), "factor": self._factor, "main": main}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore from `state`. The optimizer's own state contains the current learning rates."""
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
    """A schedule of the installed torch.

    Attributes:
        name: name in the config.
        summary: first line of its documentation.
        parameters: names of its arguments.
    """

    name: str
    summary: str
    parameters: list[str]


def list_schedules() -> list[ScheduleEntry]:
    """Every schedule of the installed torch that a config can describe, sorted by name, "constant" first."""
    entries = [ScheduleEntry(CONSTANT, "Constant learning rate.", [])]
    for name, schedule_class in sorted(_schedule_classes().items()):
        lines = (inspect.getdoc(schedule_class) or "").splitlines()
        parameters = [key for key in inspect.signature(schedule_class).parameters if key not in ("self", "optimizer")]
        entries.append(ScheduleEntry(name, lines[0] if lines else "", parameters))
    return entries


def check_schedule(config: ScheduleConfig, learning_rate: float) -> None:
    """Check the name and every argument by building the schedule on a small optimizer; the user's own isn't called.

    Raises:
        ConfigError: unknown name or argument, or a value that the schedule refuses.
        UserCodeError: the user's file raised when it was imported.
    """
    if is_user_spec(config.name):
        factory = _schedule_factory(config.name)
        known = dict.fromkeys(_LENGTHS) | {"max_lr": learning_rate, "mode": "min"}
        arguments = {**accepted_arguments(factory, known), **config.arguments}
        check_keywords(factory, arguments, f"schedule {config.name}", supplied=first_parameter(factory))
        return
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate, momentum=0.9)
    build_schedule(config, optimizer, steps_per_epoch=10, epochs=10)


def build_schedule(
    config: ScheduleConfig,
    optimizer: torch.optim.Optimizer,
    *,
    steps_per_epoch: int,
    epochs: int,
    watched: Metric | None = None,
) -> Schedule:
    """The schedule over `epochs` of `steps_per_epoch` optimizer steps.

    Lengths that a schedule has and the config doesn't give (`T_max`, `total_steps`, `total_iters`, …) are what is left
    of the run after the warm-up; OneCycleLR's and CyclicLR's `max_lr` is the optimizer's learning rate. The user's own
    is given these too where its signature names them, with `epochs`, `steps_per_epoch`, and the `mode` of `watched`.

    Args:
        config: the section.
        optimizer: whose learning rates it sets.
        steps_per_epoch: optimizer steps of an epoch.
        epochs: epochs of the run.
        watched: what ReduceLROnPlateau watches; None for torchdeck's metric of the config's name.

    Raises:
        ConfigError: unknown name or argument, a value that the schedule refuses, or one that takes a function.
        UserCodeError: the user's own raised, or returned no schedule.
    """
    warmup_steps = round(fitted_warmup(config.warmup_epochs, epochs) * steps_per_epoch)
    if config.name == CONSTANT:
        if config.arguments:
            raise ConfigError(f"schedule constant: takes no arguments, got '{next(iter(config.arguments))}'")
        return Schedule(optimizer, None, interval=config.interval, warmup_steps=warmup_steps)
    factory = _schedule_factory(config.name)
    watched = watched or metric(watched_by_schedule(config.metric))
    filled: dict[str, Any] = {
        **run_lengths(advances(config, steps_per_epoch=steps_per_epoch, epochs=epochs)),
        "max_lr": _rates_of(optimizer),
        "mode": "max" if watched.larger_is_better else "min",
    }
    if is_user_spec(config.name):
        filled |= {"epochs": epochs, "steps_per_epoch": steps_per_epoch}
    elif config.name != "ReduceLROnPlateau":
        # CyclicLR's mode is another one.
        del filled["mode"]
    if {"epochs", "steps_per_epoch"} & config.arguments.keys():
        del filled["total_steps"]
    arguments = accepted_arguments(factory, filled)
    arguments |= {name: _as_torch_takes_it(name, value) for name, value in config.arguments.items()}
    main = _made(config.name, factory, optimizer, arguments)
    return Schedule(
        optimizer,
        main,
        interval=config.interval,
        warmup_steps=warmup_steps,
        metric=watched.name,
        name=config.name,
    )


def _schedule_factory(name: str) -> Callable[..., Any]:
    """What makes a schedule: a class of torch, or the user's own. Raises ConfigError, UserCodeError."""
    if is_user_spec(name):
        return load_object(name, "a class of schedules, or a function of the optimizer that makes one")
    if name in _TAKES_A_FUNCTION:
        raise ConfigError(
            f"schedule {name}: takes a Python function, which a config can't hold; use another schedule, or a "
            "function of your own that returns it: path/to/file.py:name"
        )
    if name in _COMPOSITE:
        raise ConfigError(
            f"schedule {name}: combines other schedules; name one of them, with warmup_epochs before it, or a "
            "function of your own that returns it: path/to/file.py:name"
        )
    classes = _schedule_classes()
    factory: Callable[..., Any] | None = classes.get(name)
    if factory is None:
        raise ConfigError(
            f"schedule.name = '{name}': not in torch.optim.lr_scheduler{did_you_mean(name, [CONSTANT, *classes])} "
            "(path/to/file.py:name is allowed, too)"
        )
    return factory


def _made(
    name: str, factory: Callable[..., Any], optimizer: torch.optim.Optimizer, arguments: dict[str, Any]
) -> lr_scheduler.LRScheduler:
    where = f"schedule {name}"
    check_keywords(factory, arguments, where, supplied=first_parameter(factory))
    if is_user_spec(name):
        made = call_user_code(partial(factory, optimizer), arguments, where)
        if not isinstance(made, lr_scheduler.LRScheduler):
            raise UserCodeError(
                f"{where}: returned {type(made).__name__}; expected a torch.optim.lr_scheduler.LRScheduler"
            )
        return made
    try:
        built: lr_scheduler.LRScheduler = factory(optimizer, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{where}: {error}") from error
    return built


def try_user_schedule(config: ScheduleConfig, schedule: Schedule, optimizer: torch.optim.Optimizer) -> None:
    """Advance a user's schedule once and take its state, as a run does. Moves the optimizer's learning rates.

    Raises:
        UserCodeError: what would fail at the first step after the warm-up, or at the first checkpoint.
    """
    count_as_stepped(optimizer)
    where = f"schedule {config.name}"
    schedule._advance(*[1.0] * schedule.watches_metric)
    if not all(math.isfinite(group["lr"]) for group in optimizer.param_groups):
        raise UserCodeError(f"{where}: sets the learning rate {schedule.learning_rate} after its first step")
    state = call_user_code(schedule.state_dict, {}, f"{where}: state_dict")
    try:
        check_plain(state)
    except CheckpointError as error:
        raise UserCodeError(
            f"{where}: its state_dict() can't be saved: {error}; leave that out of what state_dict() returns"
        ) from error
    call_user_code(partial(schedule.load_state_dict, state), {}, f"{where}: load_state_dict")


def count_as_stepped(optimizer: torch.optim.Optimizer) -> None:
    """Let a schedule be gone through without training: torch warns where it advances before the optimizer did."""
    optimizer._opt_called = True  # type: ignore[attr-defined]


def advance(schedule: Schedule, optimizer: torch.optim.Optimizer, *, epochs: int, steps_per_epoch: int) -> None:
    """Bring a fresh schedule to the end of an epoch, without training."""
    count_as_stepped(optimizer)
    for _ in range(epochs):
        for _ in range(steps_per_epoch):
            schedule.after_step()
        schedule.after_epoch()


def _with_parts(schedule: lr_scheduler.LRScheduler | None) -> Iterator[lr_scheduler.LRScheduler]:
    """A schedule, and those that it is made of."""
    if schedule is not None:
        yield schedule
        for part in getattr(schedule, "_schedulers", ()):
            yield from _with_parts(part)


def _rates_of(optimizer: torch.optim.Optimizer) -> float | list[float]:
    """The learning rate, or one per group where there are several."""
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    return rates if len(rates) > 1 else rates[0]


def depends_on_length(config: ScheduleConfig) -> bool:
    """Whether the schedule is stretched over the whole run, so that another number of epochs changes every rate."""
    if is_user_spec(config.name):
        # Its signature tells, but not without running its file, and comparing checkpoints runs none.
        return True
    schedule_class = _schedule_classes().get(config.name)
    if schedule_class is None or {LENGTHS.get(config.name, ""), "epochs"} & config.arguments.keys():
        return False
    return config.name in LENGTHS


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
