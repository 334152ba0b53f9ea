"""Any optimizer of torch.optim by name, with its own arguments."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from engine.config import OptimizerConfig
from engine.errors import ConfigError, did_you_mean
from engine.training.library_arguments import check_keywords, with_tuples

# These need something that a loop over dense gradients doesn't give them.
_NOT_FOR_THIS_LOOP = {
    "LBFGS": "it re-evaluates the loss through a closure",
    "SparseAdam": "it takes sparse gradients only",
}


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
    """Check the name and every argument by building the optimizer on one small parameter.

    Raises:
        ConfigError: unknown name or argument, or a value that the optimizer refuses.
    """
    _build(config, [nn.Parameter(torch.zeros(2, 2))], fused=False)


def build_optimizer(config: OptimizerConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer over the model's trainable parameters, fused where torch has a fused form for the device.

    Raises:
        ConfigError: as `check_optimizer`, or nothing in the model is trainable.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not parameters:
        raise ConfigError(
            "nothing to train: every parameter is frozen; open a part of the model in model.freeze, "
            'for example ["*", "!fc"]'
        )
    fused = all(parameter.device.type in ("cpu", "cuda") and parameter.is_floating_point() for parameter in parameters)
    return _build(config, parameters, fused=fused)


def _build(config: OptimizerConfig, parameters: Iterable[nn.Parameter], *, fused: bool) -> torch.optim.Optimizer:
    where = f"optimizer {config.name}"
    if config.name in _NOT_FOR_THIS_LOOP:
        raise ConfigError(f"{where}: not supported, {_NOT_FOR_THIS_LOOP[config.name]}")
    classes = _optimizer_classes()
    optimizer_class = classes.get(config.name)
    if optimizer_class is None:
        raise ConfigError(f"optimizer.name = '{config.name}': not in torch.optim{did_you_mean(config.name, classes)}")
    arguments = {"lr": config.lr, **with_tuples(config.arguments)}
    check_keywords(optimizer_class, arguments, where, supplied=frozenset({"params"}))
    implementation_is_chosen = any(name in arguments for name in ("fused", "foreach", "capturable", "differentiable"))
    if fused and not implementation_is_chosen and "fused" in inspect.signature(optimizer_class).parameters:
        arguments["fused"] = True
    try:
        return optimizer_class(parameters, **arguments)
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
