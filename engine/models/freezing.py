"""Freeze parts of a model: freeze rules, and normalization layers that keep their statistics."""

from __future__ import annotations

import re
import types
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from ..errors import ConfigError, did_you_mean
from .patterns import path_pattern
from .tree.walk import walk


@dataclass(frozen=True)
class FreezeRule:
    """One entry of `model.freeze` and what it did.

    Attributes:
        rule: rule as written in the config.
        hits: parameters whose name it matches, whether or not a later rule decides.
    """

    rule: str
    hits: int


def check_freeze_rules(rules: Sequence[str]) -> None:
    """Raises ConfigError for a rule that is not a pattern."""
    for rule in rules:
        _pattern(rule)


def apply_freeze(model: nn.Module, rules: Sequence[str], *, hold_norms: bool = True) -> list[FreezeRule]:
    """Set which parameters are trained, in place; hold normalization layers whose parameters are all frozen in eval.

    Rules are read in order and the last one that matches a parameter's name decides: it freezes, or with `!` before
    it trains. `models.patterns` says what they match. A shared parameter answers to all its names. A
    parameter that no rule matches stays as it is.

    Args:
        model: changed in place.
        rules: patterns of names.
        hold_norms: hold frozen normalization layers in eval: they keep their running statistics through every later
            `model.train()`.

    Returns:
        What each rule matched, in order.

    Raises:
        ConfigError: a rule that is not a pattern.
    """
    check_freeze_rules(rules)
    patterns = [_pattern(rule) for rule in rules]
    hits = [0] * len(rules)
    for parameter, names in _names_of_parameters(model):
        for index, (rule, pattern) in enumerate(zip(rules, patterns, strict=True)):
            if any(pattern.fullmatch(name) for name in names):
                hits[index] += 1
                parameter.requires_grad_(rule.startswith("!"))
    for visit in walk(model) if hold_norms else ():
        module = visit.module
        if isinstance(module, _NormBase) and _stands_still(visit.path, module, rules, patterns):
            hold_in_eval(module)
    return [FreezeRule(rule, count) for rule, count in zip(rules, hits, strict=True)]


def freeze_notes(model: nn.Module, applied: Sequence[FreezeRule]) -> list[str]:
    """A note for every rule that matched nothing, with the nearest name of a module."""
    idle = [freeze.rule for freeze in applied if not freeze.hits]
    paths = [visit.path for visit in walk(model) if visit.path] if idle else []
    return [
        f'model.freeze: "{rule}" matches no parameter{did_you_mean(rule.removeprefix("!"), paths)}' for rule in idle
    ]


def check_something_trains(model: nn.Module, rules: Sequence[str]) -> None:
    """Raises ConfigError when the rules left no parameter to train."""
    parameters = [parameter for parameter, _ in _names_of_parameters(model)]
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        raise ConfigError(f'model.freeze = {list(rules)}: nothing is left to train; unfreeze a part, such as "!fc"')


def hold_in_eval(module: nn.Module) -> None:
    """Put a module in eval mode and keep it there, whatever `train()` is called on the model around it."""
    module.eval()
    # A bound method, unlike a closure, follows the module when the model is deep-copied.
    object.__setattr__(module, "train", types.MethodType(_stay_in_eval, module))


def _stay_in_eval(module: nn.Module, mode: bool = True) -> nn.Module:
    return module


def _stands_still(path: str, module: _NormBase, rules: Sequence[str], patterns: Sequence[re.Pattern[str]]) -> bool:
    if not module.track_running_stats:
        return False
    parameters = list(module.parameters(recurse=False))
    if parameters:
        return not any(parameter.requires_grad for parameter in parameters)
    # Without parameters of its own it goes with the part of the model that it lies in.
    decisions = [rule for rule, pattern in zip(rules, patterns, strict=True) if pattern.fullmatch(path)]
    return bool(decisions) and not decisions[-1].startswith("!")


def _names_of_parameters(model: nn.Module) -> list[tuple[nn.Parameter, list[str]]]:
    """Every parameter once, with all its names."""
    names: dict[int, tuple[nn.Parameter, list[str]]] = {}
    for visit in walk(model, into_aliases=True):
        for name, parameter in visit.module._parameters.items():
            if parameter is not None:
                full_name = f"{visit.path}.{name}" if visit.path else name
                names.setdefault(id(parameter), (parameter, []))[1].append(full_name)
    return list(names.values())


def _pattern(rule: str) -> re.Pattern[str]:
    return path_pattern(rule.removeprefix("!"), f'model.freeze: "{rule}"')
