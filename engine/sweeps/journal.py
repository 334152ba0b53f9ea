"""The trials of a sweep, read from Optuna's journal without Optuna: a line for each thing that was done.

A journal is replayed as Optuna does it: what is done to a finished trial, or by a worker that came second, has no
effect. A sweep whose space got other choices goes on in a further study of the same journal; the last one counts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from ..files.documents import DocumentError, parse_json
from ..files.json_values import number, whole_number
from ..runs.on_disk.line_tail import LineTail
from .space import decoded

State = Literal["running", "complete", "pruned", "failed", "waiting"]

# Optuna's own numbers.
_STATES: dict[int, State] = {0: "running", 1: "complete", 2: "pruned", 3: "failed", 4: "waiting"}
_FINISHED = ("complete", "pruned", "failed")
_CONSTRAINT = "constraints:"


@dataclass
class Trial:
    """One trial.

    Attributes:
        number: its number in the sweep, from 0.
        state: running, complete, pruned, failed or waiting.
        settings: what was varied, by dotted key.
        values: results, in the order of the objectives; empty before the end and for a failed one.
        reports: the first objective by epoch, or by seed where a trial has several.
        started: when it began, in seconds since 1970; 0 if unknown.
        ended: when it ended; 0 before.
        attributes: what the workers noted: runs, error, attempts, host, …
        excess: by constraint, how far the result violates it; 0 or less where it does not.
    """

    number: int
    state: State
    settings: dict[str, Any] = field(default_factory=dict)
    values: list[float] = field(default_factory=list)
    reports: dict[int, float] = field(default_factory=dict)
    started: float = 0.0
    ended: float = 0.0
    attributes: dict[str, Any] = field(default_factory=dict)
    excess: dict[str, float] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        """Whether it has a result, or never will."""
        return self.state in _FINISHED

    @property
    def is_feasible(self) -> bool:
        """Whether its result satisfies every constraint."""
        return all(excess <= 0 for excess in self.excess.values())

    @property
    def runs(self) -> list[str]:
        """Names of its runs, by seed."""
        named = self.attributes.get("runs")
        return [str(name) for name in named.values()] if isinstance(named, dict) else []

    @property
    def error(self) -> str:
        """Why it failed, or ended early; empty where there is nothing to say."""
        return str(self.attributes.get("error", ""))


class SweepJournal:
    """The trials in a journal; each `poll` reads only what is new. Damaged lines are skipped. Used by one thread."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet.

        Args:
            path: the journal's file, which need not be there yet.
        """
        self._lines = LineTail(path)
        self._studies: list[list[Trial]] = []
        self._names: list[str] = []
        self._trials: list[Trial] = []

    @property
    def skipped_lines(self) -> int:
        """Lines that could not be understood."""
        return self._lines.skipped

    @property
    def trials(self) -> list[Trial]:
        """The trials as of the last poll, by number."""
        return self._studies[-1] if self._studies else []

    def poll(self) -> bool:
        """Read what is new. True when there was anything."""
        if not self._lines.look():
            return False
        if self._lines.was_replaced:
            self._studies, self._names, self._trials = [], [], []
        for record in self._lines.read():
            self._apply(record)
        return True

    def _apply(self, record: Mapping[str, Any]) -> None:
        operation = record.get("op_code")
        if operation == 0:
            name = str(record.get("study_name"))
            if name not in self._names:
                self._names.append(name)
                self._studies.append([])
        elif operation == 4:
            self._create(record)
        elif operation in (5, 6, 7, 8, 9):
            trial_id = record.get("trial_id")
            if isinstance(trial_id, int) and 0 <= trial_id < len(self._trials):
                trial = self._trials[trial_id]
                if not trial.is_finished:
                    _CHANGES[operation](trial, record)

    def _create(self, record: Mapping[str, Any]) -> None:
        study = record.get("study_id")
        if not isinstance(study, int) or not 0 <= study < len(self._studies):
            return
        trial = Trial(len(self._studies[study]), _STATES.get(whole_number(record.get("state", 0)), "running"))
        trial.started = _seconds(record.get("datetime_start"))
        trial.ended = _seconds(record.get("datetime_complete"))
        distributions = record.get("distributions") or {}
        for key, value in (record.get("params") or {}).items():
            trial.settings[key] = _external(distributions.get(key), value)
        for step, value in (record.get("intermediate_values") or {}).items():
            trial.reports[int(step)] = _figure(value)
        given = record.get("values")
        values = given if given is not None else [record.get("value")]
        trial.values = [_figure(value) for value in values if value is not None]
        trial.attributes |= record.get("user_attrs") or {}
        _note_constraints(trial, record.get("system_attrs") or {})
        self._studies[study].append(trial)
        self._trials.append(trial)


def _set_parameter(trial: Trial, record: Mapping[str, Any]) -> None:
    value = _external(record.get("distribution"), record.get("param_value_internal"))
    trial.settings[str(record.get("param_name"))] = value


def _set_state(trial: Trial, record: Mapping[str, Any]) -> None:
    trial.state = _STATES.get(whole_number(record.get("state")), trial.state)
    if trial.state == "running":
        trial.started = _seconds(record.get("datetime_start")) or trial.started
    trial.ended = _seconds(record.get("datetime_complete"))
    values = record.get("values")
    if isinstance(values, list):
        trial.values = [_figure(value) for value in values]


def _set_report(trial: Trial, record: Mapping[str, Any]) -> None:
    step = record.get("step")
    if isinstance(step, int):
        trial.reports[step] = _figure(record.get("intermediate_value"))


def _set_attribute(trial: Trial, record: Mapping[str, Any]) -> None:
    given = record.get("user_attr")
    if isinstance(given, dict):
        trial.attributes |= given


def _set_system_attribute(trial: Trial, record: Mapping[str, Any]) -> None:
    given = record.get("system_attr")
    if isinstance(given, dict):
        _note_constraints(trial, given)


_CHANGES = {
    5: _set_parameter,
    6: _set_state,
    7: _set_report,
    8: _set_attribute,
    9: _set_system_attribute,
}


def _note_constraints(trial: Trial, attributes: Mapping[str, Any]) -> None:
    for name, value in attributes.items():
        if name.startswith(_CONSTRAINT) and (excess := number(value)) is not None:
            trial.excess[name.removeprefix(_CONSTRAINT)] = excess


def _external(distribution: Any, value: Any) -> Any:
    """The value of a setting from the number that Optuna keeps: an index of a choice, or the value itself."""
    try:
        kind, attributes = _described(distribution)
        if kind == "CategoricalDistribution":
            return decoded(attributes["choices"][int(value)])
        return int(value) if kind == "IntDistribution" else float(value)
    except (DocumentError, TypeError, KeyError, ValueError, IndexError):
        return value


@lru_cache(maxsize=256)
def _described(distribution: str) -> tuple[str, dict[str, Any]]:
    """Kind and attributes of a distribution; every trial has the same ones."""
    described = parse_json(distribution)
    return described["name"], described["attributes"]


def _figure(value: Any) -> float:
    found = number(value)
    return math.nan if found is None else found


def _seconds(text: Any) -> float:
    if not isinstance(text, str):
        return 0.0
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
