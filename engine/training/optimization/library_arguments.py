"""Keyword arguments from a config, checked against the signature of the library's class that takes them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ...errors import ConfigError, did_you_mean


def check_keywords(
    target: Callable[..., Any], arguments: Mapping[str, Any], where: str, *, supplied: frozenset[str]
) -> None:
    """Check the names of `arguments` against `target`'s signature.

    Args:
        target: the class or function that will be called.
        arguments: keyword arguments from the config.
        where: prefix of error messages, such as "optimizer SGD".
        supplied: parameters that torchdeck fills in itself: they are not required, and may not be given
            when they start with an underscore or are positional (such as `params`).

    Raises:
        ConfigError: an unknown or a missing argument; names the nearest valid one.
    """
    parameters = inspect.signature(target).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    named = [
        name
        for name, parameter in parameters.items()
        if name != "self" and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    for name in arguments:
        if name not in named and not takes_any:
            raise ConfigError(f"{where}: unknown argument '{name}'{did_you_mean(name, set(named) - supplied)}")
    for name in named:
        required = parameters[name].default is parameters[name].empty
        if required and name not in arguments and name not in supplied:
            raise ConfigError(f"{where}: the argument '{name}' is missing")


def first_parameter(target: Callable[..., Any]) -> frozenset[str]:
    """The name of what torchdeck passes by position, such as the parameters of an optimizer; empty for `*args`."""
    parameters = list(inspect.signature(target).parameters.values())
    is_named = bool(parameters) and parameters[0].kind is parameters[0].POSITIONAL_OR_KEYWORD
    return frozenset({parameters[0].name}) if is_named else frozenset()


def with_tuples(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """`arguments` with lists as tuples: TOML has no tuples, torch asks for them (betas)."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
