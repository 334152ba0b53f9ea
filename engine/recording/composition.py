"""The records of a run composed from what another program's loop logs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..runs.on_disk.metrics_record import EpochRecord, EvaluationRecord, LogRecord, Measured, MetricsRecord
from ..series_names import LR, larger_is_better, series_name, telling_metric
from .figures import NotANumber, numbers_in

_MOST_NAMES = 2000
_LARGEST_STEP = 2**53
_MOST_STEPS = 20_000  # of one record
_MOST_PROBLEMS = 50


class Entry(NamedTuple):
    """One call of `log`.

    Attributes:
        step: step that was given; None for the next.
        epoch: epoch that was given; None if none was.
        time: seconds of the monotonic clock.
        values: figures by name.
    """

    step: Any
    epoch: Any
    time: float
    values: Mapping[str, Any]


class Composition:
    """Composes records of the entries of one run, in their order.

    Attributes:
        step: step of the newest entry.
        epoch: epoch of the newest entry that named one.
        rate: newest learning rate; NaN if none was logged.
        is_best: whether the newest evaluation was the best.
        measured: what the newest evaluation measured.
        problems: what was not recorded and why, each once, since the caller last emptied it.
    """

    def __init__(self, began: float, best_metric: str = "", *, larger: bool | None = None) -> None:
        """Begin a run.

        Args:
            began: when it began, in seconds of the monotonic clock.
            best_metric: metric that evaluations are compared by; empty for the most telling of the first one.
            larger: whether that is better when larger; None to tell it by its name.
        """
        self.step = self.epoch = 0
        self.rate = math.nan
        self.is_best = False
        self.measured: dict[str, float] = {}
        self.problems: list[str] = []
        self._began = began
        self._best_metric = best_metric
        self._larger = larger
        self._best = math.nan
        self._recorded_at = self._epoch_at = 0.0
        self._sums: dict[str, tuple[float, int]] = {}
        self._names: set[str] = set()
        self._said: set[str] = set()

    def records(self, entries: Iterable[Entry]) -> list[MetricsRecord]:
        """The records of the next entries."""
        found: list[MetricsRecord] = []
        block: LogRecord | None = None
        for entry in entries:
            training, validation = self._sorted(entry.values)
            if not self._place(entry, is_training=bool(training)):
                continue
            t = entry.time - self._began
            if training:
                block = self._logged(found, block, training, t)
            if validation:
                found.append(self._evaluated(validation, t, is_epoch=entry.epoch is not None))
                block = None
        return found

    def _sorted(self, values: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
        """The figures of training by series, and those of validation by metric."""
        training: dict[str, float] = {}
        validation: dict[str, float] = {}
        for name, value in numbers_in(values):
            if isinstance(value, NotANumber):
                self._say(name, f"{name}: {value.reason}")
                continue
            series = series_name(name)
            if series not in self._names:
                if len(self._names) >= _MOST_NAMES:
                    self._say("", f"{name}: more than {_MOST_NAMES:,} names are logged; further ones are left out")
                    continue
                self._names.add(series)
            split, _, metric = series.partition("/")
            if split == "validation":
                validation[metric] = value
            else:
                training[series] = value
        return training, validation

    def _place(self, entry: Entry, *, is_training: bool) -> bool:
        """Move to the entry's step and epoch. False if it lies before the newest one."""
        try:
            epoch = None if entry.epoch is None else int(entry.epoch)
            step = self.step + is_training if entry.step is None else int(entry.step)
        except (TypeError, ValueError, OverflowError) as error:
            self._say("step", f"step and epoch must be whole numbers: {error}"[:200])
            return False
        if not self.step <= step < _LARGEST_STEP:
            self._say("order", f"step {step} was logged after step {self.step}: steps must not decrease; left out")
            return False
        self.step = step
        if epoch is not None and 0 <= epoch < _LARGEST_STEP:
            self.epoch = epoch
        return True

    def _logged(
        self, found: list[MetricsRecord], block: LogRecord | None, training: dict[str, float], t: float
    ) -> LogRecord:
        """Add figures of training to the newest record if that has the same names, else to a new one."""
        if block is None or block["values"].keys() != training.keys() or len(block["step"]) >= _MOST_STEPS:
            block = {"kind": "log", "step": [], "t": t, "seconds": 0.0, "values": {name: [] for name in training}}
            found.append(block)
        block["step"].append(self.step)
        block["seconds"] += t - self._recorded_at
        block["t"] = self._recorded_at = t
        for name, value in training.items():
            block["values"][name].append(value)
            if name == LR:
                self.rate = value
            elif math.isfinite(value):
                total, count = self._sums.get(name, (0.0, 0))
                self._sums[name] = total + value, count + 1
        return block

    def _evaluated(self, validation: dict[str, float], t: float, *, is_epoch: bool) -> MetricsRecord:
        self.measured = validation
        self._best_metric = self._best_metric or telling_metric(validation)
        value = validation.get(self._best_metric, math.nan)
        larger = self._larger if self._larger is not None else larger_is_better(self._best_metric)
        self.is_best = math.isfinite(value) and not (value <= self._best if larger else value >= self._best)
        measured: Measured = {"validation": validation, "is_best": self.is_best}
        if self.is_best:
            self._best = value
            measured["rated"] = {"metric": self._best_metric, "value": value}
        if not is_epoch:
            record: EvaluationRecord = {
                "kind": "evaluation", "epoch": self.epoch, "step": self.step, "t": t, **measured
            }  # fmt: skip
            return record
        means = {name.partition("/")[2]: total / count for name, (total, count) in self._sums.items()}
        whole: EpochRecord = {
            "kind": "epoch",
            "epoch": self.epoch,
            "step": self.step,
            "t": t,
            "seconds": t - self._epoch_at,
            "lr": self.rate,
            "train": {"loss": math.nan, **means},
            **measured,
        }
        self._epoch_at, self._sums = t, {}
        return whole

    def _say(self, key: str, problem: str) -> None:
        if key not in self._said and len(self._said) < _MOST_PROBLEMS:
            self._said.add(key)
            self.problems.append(problem)
