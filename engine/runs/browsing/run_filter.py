"""Choosing runs by a few words: `lr>0.01 model=resnet acc>0.9`.

Every word has to hold. A bare word is looked for in the run's name, tags and note, with `!` before it is left out.
`KEY OP VALUE`, written without spaces, compares: KEY is `status`, `tag`, `note`, `source`, `age`, `epoch`, `step`,
`best`, a validation metric or the beginning of its name, or a setting by its dotted key or a part of it (`lr`,
`optimizer.lr`, `model`). OP is one of = != == < <= > >=. On text `=` means contains, `==` is; case does not count.
Ages have a unit: `age<2d`.
"""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigError, did_you_mean
from ..on_disk.directory import RunSummary

_WORD = re.compile(r"([A-Za-z_][A-Za-z0-9_.-]*)(==|!=|<=|>=|=|<|>)(.*)", re.DOTALL)
_AGE = re.compile(r"(\d+(?:\.\d*)?)([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_FIELDS = ("name", "status", "epoch", "epochs", "step", "age", "best", "tag", "note", "source")
_SHORTEST_PREFIX = 2


@dataclass(frozen=True)
class Term:
    """One word of a filter.

    Attributes:
        key: key to compare; empty for a word that is searched in name, tags and note.
        operator: one of = != == < <= > >=.
        value: value as typed.
    """

    key: str
    operator: str
    value: str


@dataclass(frozen=True)
class RunFilter:
    """Filter of the run list, from `parse_filter`."""

    terms: tuple[Term, ...] = ()

    def matches(self, run: RunSummary, settings: Mapping[str, Any]) -> bool:
        """Whether every term holds for a run. One without a value of that name does not match.

        Args:
            run: listed run.
            settings: its config by dotted key.
        """
        return all(_holds(term, run, settings) for term in self.terms)

    def check_keys(self, runs: list[RunSummary], settings: list[dict[str, Any]]) -> None:
        """Raise ConfigError for a key that no run has, with the nearest name there is."""
        for term in self.terms:
            found = (_value(term.key, run, own) for run, own in zip(runs, settings, strict=True))
            if term.key in ("", *_FIELDS) or not runs or any(value is not None for value in found):
                continue
            metrics = {name for run in runs for name in run.metrics}
            keys = {part for own in settings for key in own for part in (key, key.rpartition(".")[2])}
            raise ConfigError(f"{term.key}: no run has this key{did_you_mean(term.key, {*_FIELDS, *metrics, *keys})}")


def parse_filter(text: str) -> RunFilter:
    """A filter from what was typed; empty text lets every run through.

    Raises:
        ConfigError: a quote that is not closed, a comparison without a value, an age without a unit.
    """
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{text}: missing closing quote") from error
    return RunFilter(tuple(_term(word) for word in words))


def _term(word: str) -> Term:
    match = _WORD.fullmatch(word)
    if match is None:
        is_excluded = word.startswith("!") and len(word) > 1
        return Term("", "!=" if is_excluded else "=", word[1:] if is_excluded else word)
    key, operator, value = match.groups()
    if not value:
        raise ConfigError(f"{word}: missing value; write for example {key}{operator}1")
    if operator in ("<", "<=", ">", ">=") and key != "age" and _number(value) is None:
        raise ConfigError(f"{word}: {value} is not a number")
    if key == "age" and not _AGE.fullmatch(value):
        raise ConfigError(f"{word}: an age needs a unit, such as 30m, 2h or 5d")
    return Term(key, operator, value)


def _holds(term: Term, run: RunSummary, settings: Mapping[str, Any]) -> bool:
    own = _value(term.key, run, settings)
    if own is None:
        return False
    number = _seconds(term.value) if term.key == "age" else _number(term.value)
    if isinstance(own, int | float) and not isinstance(own, bool):
        return number is not None and _compare(own, term.operator, number)
    texts = [str(text).lower() for text in own] if isinstance(own, tuple) else [str(own).lower()]
    value = term.value.lower()
    if term.operator == "==":
        return value in texts
    is_found = any(value in text for text in texts)
    return is_found if term.operator == "=" else (term.operator == "!=" and not is_found)


def _compare(own: float, operator: str, value: float) -> bool:
    return {
        "=": own == value,
        "==": own == value,
        "!=": own != value,
        "<": own < value,
        "<=": own <= value,
        ">": own > value,
        ">=": own >= value,
    }[operator]


def _value(key: str, run: RunSummary, settings: Mapping[str, Any]) -> Any:
    """What a key stands for in a run, of several texts a tuple; None when it has no such thing."""
    if key == "":
        return (run.name, *run.tags, run.note)
    if key in ("tag", "tags"):
        return run.tags
    if key in ("name", "status", "epoch", "epochs", "step", "note", "source"):
        return getattr(run, key)
    if key == "age":
        return max(0.0, time.time() - run.modified)
    if key == "best":
        return run.best["value"] if run.best else None
    if key in run.metrics:
        return run.metrics[key]
    if len(key) >= _SHORTEST_PREFIX:
        begun = [value for name, value in run.metrics.items() if name.startswith(key)]
        if begun:
            return begun[0]
    return setting_of(key, settings)


def setting_of(key: str, settings: Mapping[str, Any]) -> Any:
    """A setting by its dotted key, by its section where that has a name, or by the last part of its key; else None."""
    for full in (key, f"{key}.name"):
        if full in settings:
            return settings[full]
    return next((value for full, value in settings.items() if full.endswith(f".{key}")), None)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _seconds(age: str) -> float | None:
    match = _AGE.fullmatch(age)
    return float(match[1]) * _SECONDS[match[2]] if match else None
