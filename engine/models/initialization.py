"""Initialization by rule: which scheme of torch.nn.init fills which parameters, known before anything is filled."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from ..config import InitRule
from ..errors import ConfigError, did_you_mean
from ..user_code import check_arguments
from .patterns import path_pattern
from .tree.walk import walk

# The functions of torch.nn.init that fill a tensor, without the underscore at their end.
_SCHEMES = (
    "kaiming_normal",
    "kaiming_uniform",
    "xavier_normal",
    "xavier_uniform",
    "orthogonal",
    "trunc_normal",
    "normal",
    "uniform",
    "sparse",
    "dirac",
    "eye",
    "constant",
    "zeros",
    "ones",
)
# These need rows and columns; dirac a kernel beside them. A bias has neither.
_DIMENSIONS = {
    "kaiming_normal": (2, 99),
    "kaiming_uniform": (2, 99),
    "xavier_normal": (2, 99),
    "xavier_uniform": (2, 99),
    "orthogonal": (2, 99),
    "sparse": (2, 2),
    "eye": (2, 2),
    "dirac": (3, 5),
}
EVERYWHERE = "*"
_SHOWN = 4


@dataclass(frozen=True)
class InitPlan:
    """One entry of `model.init` and what it fills.

    Attributes:
        rule: rule as written in the config.
        names: parameters that it fills, by name.
        loaded: how many it would fill, were they not loaded from trained weights.
    """

    rule: InitRule
    names: list[str]
    loaded: int

    def describe(self) -> str:
        """Description of what the rule does."""
        where = "" if self.rule.modules == EVERYWHERE else f' in "{self.rule.modules}"'
        kinds = f" of {self.rule.types}" if self.rule.types != EVERYWHERE else ""
        kept = f"; {self.loaded} keep their pretrained values" if self.loaded else ""
        if not self.names:
            return f"model.init: {self.rule.name}{where}{kinds} matches no parameter{kept}"
        shown = ", ".join(self.names[:_SHOWN])
        more = f" and {len(self.names) - _SHOWN} more" if len(self.names) > _SHOWN else ""
        return f"model.init: {self.rule.name}{where}{kinds} fills {len(self.names)}: {shown}{more}{kept}"


def check_init_rules(rules: Sequence[InitRule]) -> None:
    """Check schemes, their arguments and the patterns; needs no model.

    Raises:
        ConfigError: the first thing that is wrong, with what is allowed.
    """
    for rule in rules:
        if rule.name not in _SCHEMES:
            raise ConfigError(f"model.init: unknown scheme {rule.name!r}{did_you_mean(rule.name, _SCHEMES)}")
        check_arguments(_function(rule), rule.arguments, f"model.init {rule.name}", {"tensor": None})
        _modules(rule)
        try:
            _function(rule)(torch.zeros(2, 2, 2) if rule.name == "dirac" else torch.zeros(2, 2), **rule.arguments)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ConfigError(f"model.init {rule.name}: {error}") from error


def plan_init(model: nn.Module, rules: Sequence[InitRule], loaded: Collection[str] = ()) -> list[InitPlan]:
    """What each rule fills; a later rule may fill again what an earlier one did.

    A parameter that was loaded from trained weights is only filled by a rule that names modules by a pattern of its
    own. A scheme passes by parameters that it is not defined for, such as the weight of a norm for `orthogonal`.

    Args:
        model: built; it may lie on the meta device.
        rules: checked by `check_init_rules`.
        loaded: names of the parameters that hold trained weights.
    """
    plans = []
    for rule in rules:
        pattern = _modules(rule)
        fitting = [name for name, parameter in _parameters(model, rule, pattern) if _is_defined(rule, parameter)]
        filled = [name for name in fitting if rule.modules != EVERYWHERE or name not in loaded]
        plans.append(InitPlan(rule, filled, len(fitting) - len(filled)))
    return plans


def apply_init(model: nn.Module, plans: Sequence[InitPlan]) -> None:
    """Fill the planned parameters, in place, from torch's global generator: seed it before."""
    parameters = dict(model.named_parameters())
    for plan in plans:
        for name in plan.names:
            with torch.no_grad():
                _function(plan.rule)(parameters[name], **plan.rule.arguments)


def _parameters(model: nn.Module, rule: InitRule, pattern: re.Pattern[str]) -> list[tuple[str, nn.Parameter]]:
    """The parameters that a rule names, each once, by the first of its names."""
    found = []
    seen: set[int] = set()
    for visit in walk(model):
        module = visit.module
        is_named = pattern.fullmatch(visit.path) and fnmatchcase(type(module).__name__, rule.types)
        for name, parameter in module._parameters.items():
            if parameter is None or id(parameter) in seen:
                continue
            seen.add(id(parameter))
            if is_named and fnmatchcase(name, rule.parameters):
                found.append((f"{visit.path}.{name}" if visit.path else name, parameter))
    return found


def _is_defined(rule: InitRule, parameter: nn.Parameter) -> bool:
    if is_lazy(parameter):
        return False
    least, most = _DIMENSIONS.get(rule.name, (0, 99))
    return least <= parameter.dim() <= most


def _modules(rule: InitRule) -> re.Pattern[str]:
    return path_pattern(rule.modules, f'model.init: "{rule.modules}"')


def _function(rule: InitRule) -> Any:
    return getattr(nn.init, f"{rule.name}_")
