"""An optimizer of the user's own file: made like torch's, and tried before a run depends on it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from ...config import OptimizerConfig
from ...errors import CheckpointError, ConfigError, UserCodeError
from ...randomness import generators_kept
from ...tensor_files.plain_content import check_plain
from ...user_code import call_user_code
from .library_arguments import check_keywords, first_parameter, with_tuples
from .parameter_groups import PlannedGroup, as_parameters, optimizer_factory, plan_groups

# The gradient that a trial steps with: 0 would be divided by where an update is normalized.
_TRIAL_GRADIENT = 1e-3


def check_user_optimizer(config: OptimizerConfig) -> Callable[..., Any]:
    """Check the name and the arguments of a user's optimizer, without calling it.

    Returns:
        The class or function that makes it.

    Raises:
        ConfigError: no such name, or an argument that it doesn't take.
        UserCodeError: the user's file raised when it was imported.
    """
    where = f"optimizer {config.name}"
    factory: Callable[..., Any] = optimizer_factory(config.name)
    parameters = inspect.signature(factory).parameters
    if "lr" not in parameters and not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        raise ConfigError(f"{where}: takes no lr, and is given optimizer.lr; add lr to its parameters")
    check_keywords(factory, _arguments(config), where, supplied=first_parameter(factory))
    return factory


def make_user_optimizer(config: OptimizerConfig, groups: Sequence[PlannedGroup]) -> torch.optim.Optimizer:
    """The user's optimizer over these groups.

    Raises:
        ConfigError: as `check_user_optimizer`.
        UserCodeError: it raised, or made no optimizer of these parameters.
    """
    where = f"optimizer {config.name}"
    factory = check_user_optimizer(config)
    made = call_user_code(partial(factory, as_parameters(groups, config.lr)), _arguments(config), where)
    if not isinstance(made, torch.optim.Optimizer):
        raise UserCodeError(f"{where}: returned {type(made).__name__}; expected a torch.optim.Optimizer")
    given = {id(parameter) for group in groups for parameter in group.parameters}
    held = {id(parameter) for group in made.param_groups for parameter in group["params"]}
    if held != given:
        raise UserCodeError(
            f"{where}: its param_groups hold {len(held & given)} of the {len(given)} parameters that it was given"
            f"{f' and {len(held - given)} others' if held - given else ''}; it has to hold all of them"
        )
    if not all(isinstance(group.get("lr"), float | int | torch.Tensor) for group in made.param_groups):
        raise UserCodeError(
            f"{where}: a group of its param_groups has no lr, which schedules set; pass "
            "defaults = {'lr': lr} to torch.optim.Optimizer.__init__"
        )
    return made


def try_user_optimizer(config: OptimizerConfig, model: nn.Module) -> None:
    """Do a step on copies of the model's smallest parameters, save its state and load that into another one.

    Raises:
        ConfigError, UserCodeError: what would fail at the first step, the first checkpoint or the first resume.
    """
    where = f"optimizer {config.name}"
    groups = [_stand_in(group) for group in plan_groups(config, model)]
    with generators_kept():
        optimizer = make_user_optimizer(config, groups)
        call_user_code(optimizer.step, {}, f"{where}: step")
        state = call_user_code(optimizer.state_dict, {}, f"{where}: state_dict")
        try:
            check_plain(state)
        except CheckpointError as error:
            raise UserCodeError(f"{where}: its state_dict() can't be saved: {error}") from error
        again = make_user_optimizer(config, groups)
        call_user_code(partial(again.load_state_dict, state), {}, f"{where}: load_state_dict")


def _arguments(config: OptimizerConfig) -> dict[str, Any]:
    return {"lr": config.lr, **with_tuples(config.arguments)}


def _stand_in(group: PlannedGroup) -> PlannedGroup:
    """The group with a copy of its smallest parameter of each number of dimensions, all with a gradient."""
    smallest: dict[int, nn.Parameter] = {}
    for parameter in sorted(group.parameters, key=lambda each: each.numel()):
        smallest.setdefault(parameter.ndim, parameter)
    copies = [nn.Parameter(parameter.detach().clone()) for parameter in smallest.values()]
    for copy in copies:
        copy.grad = torch.full_like(copy, _TRIAL_GRADIENT)
    return replace(group, parameters=copies)
