"""Any optimizer of torch.optim by name, with its own arguments."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ...config import OptimizerConfig
from ...distributed.sharded_tensors import is_sharded
from ...errors import ConfigError, did_you_mean
from ...user_code import is_user_spec
from .library_arguments import check_keywords, with_tuples
from .muon import MuonWithAdamW
from .parameter_groups import MUON, PlannedGroup, as_parameters, check_groups, plan_groups
from .user_optimizer import check_user_optimizer, make_user_optimizer

# These need something that a loop over dense gradients doesn't give them.
_NOT_FOR_THIS_LOOP = {
    "LBFGS": "it re-evaluates the loss through a closure",
    "SparseAdam": "it supports sparse gradients only",
}
# Of torch's fused forms, those that know sharded weights.
_FUSED_FOR_SHARDS = ("Adam", "AdamW")


@dataclass(frozen=True)
class OptimizerEntry:
    """An optimizer of the installed torch: its name, first line of documentation and defaults."""

    name: str
    summary: str
    defaults: dict[str, Any]


def list_optimizers() -> list[OptimizerEntry]:
    """Every optimizer of the installed torch that this loop can drive, sorted by name."""
    entries = []
    for name, optimizer_class in sorted(_optimizer_classes().items()):
        parameters = inspect.signature(optimizer_class).parameters
        defaults = {
            parameter.name: parameter.default
            for parameter in parameters.values()
            if parameter.name not in ("self", "params") and parameter.default is not parameter.empty
        }
        lines = (inspect.getdoc(optimizer_class) or "").splitlines()
        entries.append(OptimizerEntry(name, lines[0] if lines else "", defaults))
    return entries


def check_optimizer(config: OptimizerConfig) -> None:
    """Check the name and every argument by building the optimizer on a small model; the user's own isn't called.

    Raises:
        ConfigError: unknown name or argument, or a value that the optimizer refuses.
        UserCodeError: the user's file raised when it was imported.
    """
    if is_user_spec(config.name):
        check_user_optimizer(config)
        check_groups(config)
        return
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    _build(config, plan_groups(config, model) if config.name not in _NOT_FOR_THIS_LOOP else [], fused=False)


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over the model's trainable parameters, fused where torch has a fused form for the device.

    Raises:
        ConfigError: like `check_optimizer`, or no parameter of the model is trainable.
        UserCodeError: the user's own failed.
    """
    groups = plan_groups(config, model)
    if is_user_spec(config.name):
        return make_user_optimizer(config, groups)
    parameters = [parameter for group in groups for parameter in group.parameters]
    fused = all(parameter.device.type in ("cpu", "cuda") and parameter.is_floating_point() for parameter in parameters)
    if any(map(is_sharded, parameters)):
        fused = fused and config.name in _FUSED_FOR_SHARDS
    return _build(config, groups, fused=fused)


def implementation(optimizer: torch.optim.Optimizer) -> str:
    """Which form of its update torch runs: "fused", "foreach" or "one tensor after the other"; "" for the user's."""
    if not type(optimizer).__module__.startswith(("torch.optim.", MuonWithAdamW.__module__)):
        return ""
    group = optimizer.param_groups[-1]
    if group.get("fused"):
        return "fused"
    is_foreach = group.get("foreach", False)
    on_gpu = all(parameter.is_cuda for parameter in group["params"])
    return "foreach" if is_foreach or (is_foreach is None and on_gpu) else "for-loop over tensors"


def _build(config: OptimizerConfig, groups: list[PlannedGroup], *, fused: bool) -> torch.optim.Optimizer:
    where = f"optimizer {config.name}"
    if config.name in _NOT_FOR_THIS_LOOP:
        raise ConfigError(f"{where}: not supported, {_NOT_FOR_THIS_LOOP[config.name]}")
    classes = _optimizer_classes()
    optimizer_class = classes.get(config.name)
    if optimizer_class is None:
        raise ConfigError(
            f"optimizer.name = '{config.name}': not in torch.optim{did_you_mean(config.name, classes)} "
            "(path/to/file.py:name is allowed, too)"
        )
    arguments = {"lr": config.lr, **with_tuples(config.arguments)}
    check_keywords(optimizer_class, arguments, where, supplied=frozenset({"params"}))
    implementation_is_chosen = any(name in arguments for name in ("fused", "foreach", "capturable", "differentiable"))
    takes_fused = config.name == MUON or "fused" in inspect.signature(optimizer_class).parameters
    if fused and not implementation_is_chosen and takes_fused:
        arguments["fused"] = True
    as_torch = [group.as_torch(config.lr) for group in groups]
    try:
        if config.name == MUON:
            muon = [part for part, group in zip(as_torch, groups, strict=True) if group.method == MUON]
            adamw = [part for part, group in zip(as_torch, groups, strict=True) if group.method != MUON]
            return MuonWithAdamW(muon, adamw, **arguments)
        return optimizer_class(as_parameters(groups, config.lr), **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _optimizer_classes() -> dict[str, type[torch.optim.Optimizer]]:
    return {
        name: candidate
        for name, candidate in vars(torch.optim).items()
        if isinstance(candidate, type)
        and issubclass(candidate, torch.optim.Optimizer)
        and candidate is not torch.optim.Optimizer
        and name not in _NOT_FOR_THIS_LOOP
    }
