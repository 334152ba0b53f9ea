"""The settings that a sweep varies: `[sweep.space]`, checked against the config's own types and bounds."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..config.file import config_from_values, config_values, field_at
from ..config.run import RunConfig
from ..errors import ConfigError, did_you_mean
from ..files.documents import DocumentError, parse_toml

Scalar = bool | int | float | str

_RANGE_KEYS = ("low", "high", "log", "step", "when")
_CHOICE_KEYS = ("choices", "when")
_CONDITION = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*(!=|=)\s*(.+?)\s*")
_ENCODED = "json:"
_HOW = (
    'write a list of choices, as in "loader.batch_size" = [32, 64], or a range, as in "optimizer.lr" = '
    "{ low = 1e-4, high = 1e-1, log = true }"
)


@dataclass(frozen=True)
class Condition:
    """When a setting is varied: another one has, or has not, one of these values.

    Attributes:
        key: dotted key of the other setting.
        is_equal: whether it must have one of the values, or none of them.
        values: the values.
    """

    key: str
    is_equal: bool
    values: tuple[Any, ...]

    def holds(self, settings: Mapping[str, Any]) -> bool:
        """Whether it holds for settings by dotted key."""
        return (settings.get(self.key) in self.values) is self.is_equal


@dataclass(frozen=True)
class Dimension:
    """One setting that is varied.

    Attributes:
        key: dotted key, as `--set` takes it.
        kind: float and int have a range, choice a list.
        low: smallest value of a range.
        high: largest value of a range.
        log: whether a range is searched by its logarithm.
        step: distance of the values in a range; 0 for any value, and for 1 between whole numbers.
        choices: the values of a list, as TOML has them.
        conditions: all must hold for the setting to be varied.
    """

    key: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float = 0.0
    choices: tuple[Any, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def is_active(self, settings: Mapping[str, Any]) -> bool:
        """Whether it is varied where the other settings are these, by dotted key."""
        return all(condition.holds(settings) for condition in self.conditions)

    def grid(self) -> list[Scalar]:
        """Every value, as a sampler sees it. Raises ConfigError for a range without steps."""
        if self.kind == "choice":
            return [encoded(choice) for choice in self.choices]
        step = self.step or (1.0 if self.kind == "int" else 0.0)
        if not step:
            raise ConfigError(f"{_place(self.key)}: sampler grid needs a list of choices, or a range with a step")
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        values = [self.low + index * step for index in range(count)]
        return [int(value) for value in values] if self.kind == "int" else list(values)


def read_space(config: RunConfig, space: Mapping[str, Any]) -> list[Dimension]:
    """The dimensions of a space, those that others depend on first.

    Args:
        config: the run whose settings are varied.
        space: content of `[sweep.space]`; keys are dotted, in quotes or not.

    Raises:
        ConfigError: an unknown setting, a value that the setting can't have, a range of what is not a number, a
            condition that can't be read or that goes in a circle.
    """
    dimensions = [_dimension(key, given) for key, given in flat_space(space).items()]
    if not dimensions:
        raise ConfigError(f"[sweep.space] names no setting; {_HOW}")
    values = config_values(config)
    for dimension in dimensions:
        _check_allowed(values, dimension)
    return _in_order(dimensions, settings_by_key(config))


def flat_space(space: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The entries of a space by dotted key; of one that is given twice, in quotes and without, the last."""
    found: dict[str, Any] = {}
    for key, given in space.items():
        full = f"{prefix}{key}"
        is_entry = not isinstance(given, dict) or bool({*_RANGE_KEYS, *_CHOICE_KEYS} & given.keys())
        found |= {full: given} if is_entry or not given else flat_space(given, f"{full}.")
    return found


def settings_by_key(config: RunConfig) -> dict[str, Any]:
    """Every setting of a run by its dotted key, with tables of arguments taken apart as far as they go."""

    def walk(values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
        for key, value in values.items():
            yield f"{prefix}{key}", value
            if isinstance(value, dict):
                yield from walk(value, f"{prefix}{key}.")

    return dict(walk(config_values(config), ""))


def with_settings(config: RunConfig, settings: Mapping[str, Any]) -> RunConfig:
    """`config` with settings by dotted key. Raises ConfigError where they can't be had together."""
    values = config_values(config)
    for key, value in settings.items():
        _put(values, key, value)
    return config_from_values(values)


def encoded(choice: Any) -> Scalar:
    """A choice as a sampler sees it: lists and tables as text."""
    if isinstance(choice, bool | int | float | str):
        return choice
    return _ENCODED + json.dumps(choice, sort_keys=True)


def decoded(value: Scalar) -> Any:
    """The value of a setting from what `encoded` made of it."""
    return json.loads(value.removeprefix(_ENCODED)) if isinstance(value, str) and value.startswith(_ENCODED) else value


def _dimension(key: str, given: Any) -> Dimension:
    if isinstance(given, list):
        given = {"choices": given}
    if not isinstance(given, dict) or not ({"low", "high", "choices"} & given.keys()):
        raise ConfigError(f"{_place(key)} = {given!r}: {_HOW}")
    allowed = _CHOICE_KEYS if "choices" in given else _RANGE_KEYS
    for name in given:
        if name not in allowed:
            raise ConfigError(f"{_place(key)}: unknown key '{name}'{did_you_mean(name, allowed)}")
    conditions = _conditions(key, given.get("when", []))
    if "choices" not in given:
        return _range(key, given, conditions)
    choices = given["choices"]
    if not isinstance(choices, list) or not choices:
        raise ConfigError(f"{_place(key)}: choices must be a list of at least one value")
    return Dimension(key, "choice", choices=tuple(choices), conditions=conditions)


def _range(key: str, given: Mapping[str, Any], conditions: tuple[Condition, ...]) -> Dimension:
    bounds = {}
    for name in ("low", "high", "step"):
        value = given.get(name, 0 if name == "step" else None)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise ConfigError(f"{_place(key)}: {name} must be a number, not {value!r}")
        bounds[name] = value
    low, high, step = bounds["low"], bounds["high"], bounds["step"]
    log = given.get("log", False)
    field = field_at(key.split("."))
    kind: Literal["float", "int"] = "int" if all(isinstance(value, int) for value in bounds.values()) else "float"
    if field is not None:
        if field.annotation not in (int, float):
            raise ConfigError(f"{_place(key)}: is not a number, so it has no range; write a list of choices")
        if field.annotation is int and kind == "float":
            raise ConfigError(f"{_place(key)}: must be a range of whole numbers")
        kind = "int" if field.annotation is int else "float"
    if not isinstance(log, bool):
        raise ConfigError(f"{_place(key)}: log must be true or false")
    if low >= high:
        raise ConfigError(f"{_place(key)}: low = {low} must be below high = {high}")
    if log and low <= 0:
        raise ConfigError(f"{_place(key)}: low = {low} must be above 0 with log = true")
    if step < 0 or (log and step):
        raise ConfigError(f"{_place(key)}: step = {step} must be above 0, and can't be combined with log = true")
    return Dimension(key, kind, float(low), float(high), log, float(step), conditions=conditions)


def _conditions(key: str, given: Any) -> tuple[Condition, ...]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f'{_place(key)}: when must be text, as in when = "model.name = cnn", or a list of such')
    return tuple(_condition(key, text) for text in texts)


def _condition(key: str, text: str) -> Condition:
    found = _CONDITION.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"{_place(key)}: when = {text!r}: write KEY = VALUE or KEY != VALUE; alternatives are separated by commas"
        )
    values = tuple(_value(part.strip()) for part in found[3].split(","))
    return Condition(found[1], found[2] == "=", values)


def _value(text: str) -> Any:
    try:
        return parse_toml(f"value = {text}")["value"]
    except DocumentError:
        return text


def _check_allowed(values: Mapping[str, Any], dimension: Dimension) -> None:
    """Raise ConfigError where the setting is unknown, or can't have a value that the dimension has."""
    ends: Sequence[Any] = dimension.choices or (dimension.low, dimension.high)
    for end in ends:
        value = int(end) if dimension.kind == "int" else end
        changed = copy.deepcopy(dict(values))
        _put(changed, dimension.key, value)
        try:
            config_from_values(changed)
        except ConfigError as error:
            raise ConfigError(f"{_place(dimension.key)}: {error}") from error


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *sections, name = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{_place(key)}: {section} is not a section")
    values[name] = value


def _in_order(dimensions: list[Dimension], settings: Mapping[str, Any]) -> list[Dimension]:
    keys = {dimension.key for dimension in dimensions}
    for dimension in dimensions:
        for condition in dimension.conditions:
            if condition.key not in keys and condition.key not in settings:
                hint = did_you_mean(condition.key, [*keys, *settings])
                raise ConfigError(f"{_place(dimension.key)}: when: unknown setting '{condition.key}'{hint}")
    ordered: list[Dimension] = []
    waiting = list(dimensions)
    while waiting:
        decided = {dimension.key for dimension in ordered}
        ready = [each for each in waiting if all(c.key in decided or c.key not in keys for c in each.conditions)]
        if not ready:
            circle = ", ".join(each.key for each in waiting)
            raise ConfigError(f"[sweep.space]: the conditions of {circle} depend on each other")
        ordered += ready
        waiting = [each for each in waiting if each not in ready]
    return ordered


def _place(key: str) -> str:
    return f'sweep.space."{key}"'
