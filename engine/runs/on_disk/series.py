"""The curves of a run, built from its records as they arrive."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ...files.json_values import number, numbers_restored
from ...metric_names import TRAINING_SCORE
from .metrics_record import EpochRecord, ResultRecord

Points = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]

# One point per step, from the blocks of training records.
STEP_SERIES = ("train/loss", *(f"train/{name}" for name in dict.fromkeys(TRAINING_SCORE.values())), "lr")
SERIES = (
    *STEP_SERIES,
    "validation/loss",
    "validation/accuracy",
    "validation/macro_f1",
)
"""Series that every run has, empty if it does not record them. Other metrics are added as they appear."""

# One point per block of training records: samples per second, and training time of the run in seconds.
BLOCK_SERIES = ("throughput", "time")

# What a training block measures beside its loss: one of these.
_SCORES = tuple(dict.fromkeys(TRAINING_SCORE.values()))

_FIRST_CAPACITY = 1024


class GrowingSeries:
    """Points appended in blocks, read as arrays without copying."""

    def __init__(self) -> None:
        self._points = np.empty((2, _FIRST_CAPACITY))
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def extend(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> None:
        """Append points; both [N]."""
        length = self._grown_to(self._length + len(x))
        self._points[0, self._length : length] = x
        self._points[1, self._length : length] = y
        self._length = length

    def append(self, x: float, y: float) -> None:
        """Append one point."""
        length = self._grown_to(self._length + 1)
        self._points[0, self._length] = x
        self._points[1, self._length] = y
        self._length = length

    def _grown_to(self, length: int) -> int:
        if length > self._points.shape[1]:
            grown = np.empty((2, max(length, 2 * self._points.shape[1])))
            grown[:, : self._length] = self._points[:, : self._length]
            # Views handed out before keep the old memory, which no longer changes.
            self._points = grown
        return length

    def points(self) -> Points:
        """x and y, float64 [N] each; views that can't be written to."""
        view = self._points[:, : self._length].view()
        view.flags.writeable = False
        return view[0], view[1]


class Curves:
    """All series of a run and its epoch records.

    Attributes:
        epochs: the records of completed epochs, NaN and infinity as floats.
        evaluations: the records, of epochs or between them, that hold an evaluation.
        newest_blocks: samples, seconds and steps of the newest training blocks.
        other_records: every record but the training blocks, as it was read.
        score: metric of every training step besides its loss.
        logged: names of the series of log records, whose points no other record holds.
    """

    def __init__(self) -> None:
        self.epochs: list[EpochRecord] = []
        self.evaluations: list[ResultRecord] = []
        self.newest_blocks: list[tuple[float, float, int]] = []
        self.other_records: list[dict[str, Any]] = []
        self.last_step = 0
        self.last_rate = float("nan")
        self.score = _SCORES[0]
        self.logged: set[str] = set()
        self._series = {name: GrowingSeries() for name in (*SERIES, *BLOCK_SERIES)}

    def points(self, name: str) -> Points:
        """One series. Raises KeyError."""
        return self._series[name].points()

    def add(self, record: dict[str, Any]) -> bool:
        """Take a record of `metrics.jsonl` over. False when it doesn't have the form it should have."""
        try:
            kind = record["kind"]
            if kind == "train":
                self._add_block(record)
                return True
            if kind == "log":
                self._add_log(record)
                return True
            if kind == "epoch":
                self._add_epoch(numbers_restored(record))
            elif kind == "evaluation":
                self._add_evaluation(numbers_restored(record))
            self.other_records.append(record)
            return isinstance(kind, str)
        except (KeyError, TypeError, StopIteration, ValueError, OverflowError, AttributeError):
            return False

    def restore(
        self, step_series: dict[str, Points], newest_blocks: list[list[float]], other_records: list[dict[str, Any]]
    ) -> bool:
        """Restore saved curves into this empty one. Returns False if they don't have the right form.

        Args:
            step_series: points of `STEP_SERIES`, `BLOCK_SERIES` and the logged series by name.
            newest_blocks: samples, seconds and steps of the newest blocks.
            other_records: every record but the blocks.
        """
        try:
            for name in (*STEP_SERIES, *BLOCK_SERIES):
                x, y = step_series[name]
                self._series[name].extend(x, y)
            self.logged = set(step_series) - {*STEP_SERIES, *BLOCK_SERIES}
            for name in step_series:
                if name in self.logged:
                    self._curve(name).extend(*step_series[name])
                    self.last_step = max(self.last_step, *(int(step) for step in step_series[name][0][-1:]), 0)
            self.newest_blocks = [
                (float(samples), float(seconds), int(steps)) for samples, seconds, steps in newest_blocks
            ]
            self.score = next((name for name in _SCORES if len(self._series[f"train/{name}"])), self.score)
            steps, rates = self.points("lr")
            if len(steps):
                self.last_step, self.last_rate = max(self.last_step, int(steps[-1])), float(rates[-1])
            return all(self.add(record) for record in other_records)
        except (KeyError, TypeError, ValueError, OverflowError, IndexError):
            return False

    @property
    def names(self) -> list[str]:
        """The series there are."""
        return list(self._series)

    def _curve(self, name: str) -> GrowingSeries:
        return self._series.setdefault(name, GrowingSeries())

    def _add_block(self, record: dict[str, Any]) -> None:
        loss = _vector(record["loss"])
        count, step = len(loss), _whole(record["step"])
        name = next(name for name in _SCORES if name in record)
        score = _vector(record[name])
        rate = _vector(record["lr"]) if isinstance(record["lr"], list) else np.full(count, float(record["lr"]))
        # Runs of earlier versions call the number of samples "images".
        samples = float(record["samples"] if "samples" in record else record["images"])
        seconds = float(record["seconds"])
        if count == 0 or not count == len(score) == len(rate) or step < count:
            raise ValueError("the block's lists don't match its step")
        steps = np.arange(step - count + 1, step + 1, dtype=np.float64)
        self._series["train/loss"].extend(steps, loss)
        self.score = name
        self._curve(f"train/{name}").extend(steps, score)
        self._series["lr"].extend(steps, rate)
        self._add_pace(step, samples, seconds, number(record.get("t")))
        self.newest_blocks = [*self.newest_blocks[-19:], (samples, seconds, count)]
        self.last_step, self.last_rate = step, float(rate[-1])

    def _add_log(self, record: dict[str, Any]) -> None:
        steps = [_whole(step) for step in record["step"]]
        columns = {str(name): _vector(values) for name, values in record["values"].items()}
        if not steps or any(len(column) != len(steps) for column in columns.values()):
            raise ValueError("the record's lists don't match its steps")
        x = np.array(steps, dtype=np.float64)
        for name, column in columns.items():
            if name in STEP_SERIES and name != "lr" and (score := name.partition("/")[2]) in _SCORES:
                self.score = score
            if name not in STEP_SERIES:
                self.logged.add(name)
            self._curve(name).extend(x, column)
        seconds, before = float(record["seconds"]), self.last_step
        self._add_pace(steps[-1], 0.0, 0.0, number(record.get("t")))
        self.last_step = max(before, steps[-1])
        self.newest_blocks = [*self.newest_blocks[-19:], (0.0, seconds, self.last_step - before)]
        if "lr" in columns:
            self.last_rate = float(columns["lr"][-1])

    def _add_pace(self, step: int, samples: float, seconds: float, at: float | None) -> None:
        if seconds > 0:
            self._series["throughput"].append(step, samples / seconds)
        if at is not None:
            self._series["time"].append(step, at)

    def _add_epoch(self, record: dict[str, Any]) -> None:
        train = {str(name): float(value) for name, value in record["train"].items()}
        train["loss"] = float(record["train"]["loss"])
        for name, value in train.items():
            # In the record's order, which is that of the columns of a table.
            if name not in ("loss", *_SCORES):
                self._curve(f"train/{name}").append(_whole(record["step"]), value)
        clean = {"train": train, "lr": float(record["lr"]), "seconds": float(record["seconds"])}
        self.epochs.append(cast("EpochRecord", self._add_evaluation({**record, **clean})))

    def _add_evaluation(self, record: dict[str, Any]) -> dict[str, Any]:
        """Add the metrics of a record, which may be empty. Returns the record with only the numbers in them."""
        step, _ = _whole(record["step"]), _whole(record["epoch"])
        parts: dict[str, dict[str, float]] = {}
        for part in ("validation", "ema"):
            if part == "validation" or part in record:
                parts[part] = {str(name): float(value) for name, value in record[part].items()}
        for part, values in parts.items():
            for name, value in values.items():
                self._curve(f"{part}/{name}").append(step, value)
        clean = {**record, **parts}
        if parts["validation"]:
            self.evaluations.append(cast("ResultRecord", clean))
        self.last_step = max(self.last_step, step)
        return clean


def _vector(values: Any) -> npt.NDArray[np.float64]:
    """A flat list of numbers, where NaN and infinity are strings."""
    if not isinstance(values, list):
        raise ValueError("not a list of numbers")
    # Half of the time that asarray takes, which looks at a list twice.
    return np.fromiter(values, np.float64, len(values))


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise ValueError("not a whole number")
    return value
