"""Parameter groups of the optimizer: learning rates by depth, weight decay, rules by name."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ...config import OptimizerConfig
from ...errors import ConfigError, did_you_mean
from ...models.patterns import path_pattern
from ...user_code import is_user_spec, load_object, short_spec
from .library_arguments import check_keywords, with_tuples

MUON = "Muon"
# Up to the first part of a name that is a number or ends in one, as blocks.3 or encoder_layer_3; else denseblock3.
_BLOCK = re.compile(r"(?:[^.]+\.)*?(?:[^.]*_)?\d+(?=\.)")
_NUMBERED = re.compile(r"(?:[^.]+\.)*?[^.]*\d(?=\.)")


@dataclass
class PlannedGroup:
    """Weights that are trained alike.

    Attributes:
        method: the optimizer's name.
        lr_factor: factor of the learning rate.
        options: other arguments that differ from the optimizer's.
        names: names of the parameters.
        parameters: parameters, in the same order.
        patterns: patterns in `optimizer.groups` that matched some of them.
    """

    method: str
    lr_factor: float
    options: dict[str, Any]
    names: list[str] = field(default_factory=list)
    parameters: list[nn.Parameter] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)

    @property
    def elements(self) -> int:
        """Numbers that are trained in it."""
        return sum(parameter.numel() for parameter in self.parameters)

    def as_torch(self, lr: float) -> dict[str, Any]:
        """The group as torch's optimizers take it; `lr` is the optimizer's."""
        rate = {} if self.lr_factor == 1 else {"lr": lr * self.lr_factor}
        return {"params": self.parameters, **self.options, **rate}


def plan_groups(config: OptimizerConfig, model: nn.Module) -> list[PlannedGroup]:
    """Sort the trainable parameters of a model into groups; those at the full learning rate come first.

    A parameter's learning rate is `optimizer.lr`, times `layer_decay` once for every layer between its own and the
    last, times the factor of the last rule in `optimizer.groups` that matches its name. Layers are the model's blocks
    in the order in which they were registered: a block is what lies below the first number in a name, as
    `layer1.0`, `blocks.3` or `encoder_layer_3`; without one, below its first part that ends in a digit
    (`features.denseblock1`), or else below its first part.

    Raises:
        ConfigError: nothing to train, or an option that the optimizer doesn't have.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not any(True for _ in model.parameters()):
        raise ConfigError("nothing to train: the model has no parameters; choose another model.name")
    if not named:
        raise ConfigError(
            "nothing to train: every parameter is frozen; unfreeze a part of the model in model.freeze, "
            'for example ["*", "!fc"]'
        )
    check_groups(config)
    layers = list(dict.fromkeys(_layer(name) for name, _ in named))
    hidden = _hidden_matrices(model) if config.name == MUON else set()
    groups: dict[str, PlannedGroup] = {}
    for name, parameter in named:
        factor = config.layer_decay ** (len(layers) - 1 - layers.index(_layer(name)))
        rule_factor, options, patterns = 1.0, dict[str, Any](), list[str]()
        if not config.decay_1d and parameter.ndim <= 1:
            options["weight_decay"] = 0.0
        for rule in config.groups:
            if path_pattern(rule.pattern, "optimizer.groups").fullmatch(name):
                rule_factor = rule.lr_factor
                patterns.append(rule.pattern)
                options |= with_tuples(rule.arguments)
        method = config.name if config.name != MUON or name in hidden else "AdamW"
        factor *= rule_factor
        key = repr((method, factor, sorted(options.items(), key=lambda item: item[0])))
        group = groups.setdefault(key, PlannedGroup(method, factor, options))
        group.names.append(name)
        group.parameters.append(parameter)
        group.patterns += [pattern for pattern in patterns if pattern not in group.patterns]
    # The first group's rate is the one that is shown and set; Muon's come before AdamW's.
    return sorted(groups.values(), key=lambda group: (group.method != config.name, abs(math.log(group.lr_factor))))


def idle_rules(config: OptimizerConfig, model: nn.Module) -> list[str]:
    """A note for every rule that matches no trained parameter."""
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    idle = [
        rule.pattern
        for rule in config.groups
        if not any(path_pattern(rule.pattern, "optimizer.groups").fullmatch(name) for name in names)
    ]
    return [
        f'optimizer.groups: "{pattern}" matches no trained parameter{did_you_mean(pattern, names)}' for pattern in idle
    ]


def as_parameters(groups: Sequence[PlannedGroup], lr: float) -> list[Any]:
    """What an optimizer is called with: one group without options of its own as its parameters, as torch's examples
    do, others as torch's groups."""
    if len(groups) == 1 and groups[0].lr_factor == 1 and not groups[0].options:
        return list(groups[0].parameters)
    return [group.as_torch(lr) for group in groups]


def check_groups(config: OptimizerConfig) -> None:
    """Check the options of the groups. Raises ConfigError for one that the optimizer doesn't have."""
    where = f"optimizer {config.name}"
    factory = optimizer_factory(config.name)
    if factory is None:
        return
    parameters = inspect.signature(factory).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    if not config.decay_1d and "weight_decay" not in parameters and not takes_any:
        raise ConfigError(f"optimizer.decay_1d = false: {config.name} has no weight decay")
    for rule in config.groups:
        path_pattern(rule.pattern, "optimizer.groups")
        supplied = frozenset(parameters)
        check_keywords(factory, rule.arguments, f"{where}, group {rule.pattern}", supplied=supplied)


def optimizer_factory(name: str) -> Any:
    """What makes an optimizer: a class of torch.optim, or the user's own; None for an unknown name.

    Raises:
        ConfigError, UserCodeError: the user's own can't be loaded.
    """
    if is_user_spec(name):
        return load_object(name, "a class of optimizers, or a function of the parameters that makes one")
    return getattr(torch.optim, name, None)


def group_lines(groups: Sequence[PlannedGroup], lr: float) -> list[str]:
    """Description of the groups, one line each."""
    lines = []
    for group in groups:
        options = ", ".join(
            f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in group.options.items()
        )
        names = ", ".join(group.names[:3]) + (f", … {group.names[-1]}" if len(group.names) > 3 else "")
        words = f"{short_spec(group.method)}, lr {lr * group.lr_factor:g}{f', {options}' if options else ''}"
        lines.append(f"{words}: {len(group.names)} tensors, {group.elements:,} parameters ({names})")
    return lines


def _layer(name: str) -> str:
    match = _BLOCK.match(name) or _NUMBERED.match(name)
    return match[0] if match else name.partition(".")[0]


def _hidden_matrices(model: nn.Module) -> set[str]:
    """Names of the weights that Muon is for: matrices, but for embeddings and the last layer."""
    owners = [(path, module) for path, module in model.named_modules() if module._parameters]
    found = set()
    for path, module in owners[:-1]:
        if not isinstance(module, nn.Embedding | nn.EmbeddingBag):
            for name, parameter in module._parameters.items():
                if parameter is not None and parameter.ndim == 2:
                    found.add(f"{path}.{name}" if path else name)
    return found
