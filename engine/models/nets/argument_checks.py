"""Checks of arguments that the built-in models take from a config; each raises ConfigError with what is allowed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...errors import ConfigError
from ...shapes import shape_words


def is_integer(value: object) -> bool:
    """Whether it is a whole number and not true or false."""
    return isinstance(value, int) and not isinstance(value, bool)


def positive_integers(where: str, values: object, *, may_be_empty: bool = False) -> list[int]:
    """A list of integers above 0."""
    if not isinstance(values, list | tuple) or not all(is_integer(value) and value > 0 for value in values):
        raise ConfigError(f"{where} = {values}: must be a list of integers above 0")
    if not values and not may_be_empty:
        raise ConfigError(f"{where}: must not be empty")
    return list(values)


def positive_integer(where: str, value: object) -> int:
    """An integer above 0."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f"{where} = {value}: must be an integer above 0")
    return value


def check_probability(where: str, value: object) -> None:
    """A number from 0 to below 1."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(f"{where} = {value}: must be at least 0 and below 1")


def check_stages(sizes: Sequence[int], stages: int) -> None:
    """Check that samples are large enough to be halved between the stages."""
    if min(sizes) < 2 ** (stages - 1):
        fitting = int(math.log2(min(sizes))) + 1
        shape = shape_words(sizes)
        raise ConfigError(f"model.channels: {stages} halvings are too many for a sample of {shape}; at most {fitting}")
