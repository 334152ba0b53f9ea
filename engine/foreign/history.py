"""The curves, evaluations and epochs of a run, from the figures of another trainer."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ..runs.on_disk.metrics_record import EpochRecord, EvaluationRecord, Measured, ResultRecord
from ..runs.on_disk.series import BLOCK_SERIES, SERIES, GrowingSeries, Points
from ..series_names import LR, larger_is_better, series_name, telling_metric
from .source import EPOCH, SECONDS, Figure

# A longer series is thinned out: pairs of points give way to their lowest and highest.
MOST_POINTS = 1 << 20
_MOST_SERIES = 2000
_MOST_RESULTS = 20_000
_LARGEST_STEP = 2**53
# Steps that a series may fall back before it is sorted instead of cut: programs that restart fall back once.
_MOST_RESTARTS = 50


class History:
    """Figures by series. What a program wrote again after a restart replaces what it wrote before.

    Attributes:
        last_step: the largest step of any figure.
        names: names of the series there are.
    """

    def __init__(self) -> None:
        self.last_step = 0
        self._series = {name: GrowingSeries() for name in (*SERIES, *BLOCK_SERIES)}
        self._names: dict[str, str] = {}
        self._epochs = GrowingSeries()
        self._began = math.nan
        self._results: tuple[list[EpochRecord], list[ResultRecord]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the series."""
        return tuple(self._series)

    def points(self, name: str) -> Points:
        """One series. Raises KeyError."""
        return self._series[name].points()

    def add(self, figures: list[Figure]) -> None:
        """Take over figures in the order in which they were written."""
        columns: dict[str, tuple[list[float], list[float]]] = {}
        for name, step, value in figures:
            if 0 <= step < _LARGEST_STEP:
                steps, values = columns.setdefault(name, ([], []))
                steps.append(float(int(step)))
                values.append(value)
        for name, (steps, values) in columns.items():
            self._extend(name, np.array(steps), np.array(values, dtype=np.float64))
        if columns:
            self._results = None

    @property
    def epoch(self) -> int:
        """The newest epoch; 0 if unknown."""
        _, epochs = self._epochs.points()
        return int(epochs[-1]) if len(epochs) and math.isfinite(epochs[-1]) and epochs[-1] >= 0 else 0

    @property
    def rate(self) -> float:
        """The newest learning rate; NaN if unknown."""
        _, rates = self.points(LR)
        return float(rates[-1]) if len(rates) else math.nan

    @property
    def seconds_per_step(self) -> float:
        """Over the newest steps; NaN if unknown."""
        steps, seconds = (column[-20:] for column in self.points("time"))
        if len(steps) < 2 or steps[-1] <= steps[0]:
            return math.nan
        return float((seconds[-1] - seconds[0]) / (steps[-1] - steps[0]))

    def epochs(self) -> list[EpochRecord]:
        """A record per evaluation whose epoch is known."""
        return self._made()[0]

    def evaluations(self) -> list[ResultRecord]:
        """A record per step with figures of the validation."""
        return self._made()[1]

    def _extend(self, name: str, steps: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> None:
        if name == SECONDS:
            self._began = self._began if math.isfinite(self._began) else float(values[0])
            self._series["time"] = _joined(self._series["time"], steps, values - self._began)
            return
        self.last_step = max(self.last_step, int(steps.max()))
        if name == EPOCH:
            self._epochs = _joined(self._epochs, steps, values)
            return
        series = self._series_of(name)
        if series:
            self._series[series] = _joined(self._series.setdefault(series, GrowingSeries()), steps, values)

    def _series_of(self, name: str) -> str:
        """The series of a figure; its own name where another figure has taken that. Empty for one too many."""
        if name not in self._names:
            taken = set(self._names.values())
            if len(taken) >= _MOST_SERIES:
                return ""
            series = series_name(name[:200])
            self._names[name] = series if series not in taken else f"train/{name[:200]}"
        return self._names[name]

    def _made(self) -> tuple[list[EpochRecord], list[ResultRecord]]:
        if self._results is None:
            self._results = self._make_results()
        return self._results

    def _make_results(self) -> tuple[list[EpochRecord], list[ResultRecord]]:
        by_step: dict[int, dict[str, float]] = {}
        for name in self.names:
            split, _, metric = name.partition("/")
            if split == "validation":
                for step, value in zip(
                    *(column[-_MOST_RESULTS:].tolist() for column in self.points(name)), strict=True
                ):
                    by_step.setdefault(int(step), {})[metric] = value
        measured = telling_metric(dict.fromkeys(metric for found in by_step.values() for metric in found))
        larger, best = larger_is_better(measured), math.nan
        epochs: list[EpochRecord] = []
        results: list[ResultRecord] = []
        previous = (0, 0.0)
        for step in sorted(by_step)[-_MOST_RESULTS:]:
            value = by_step[step].get(measured, math.nan)
            is_best = math.isfinite(value) and not (value <= best if larger else value >= best)
            best = value if is_best else best
            epoch, seconds = self._at(self._epochs.points(), step), self._at(self.points("time"), step)
            place = max(0, int(epoch)) if math.isfinite(epoch) else 0
            measures: Measured = {
                "validation": by_step[step],
                "is_best": is_best,
                "rated": {"metric": measured, "value": value},
            }
            if math.isfinite(epoch):
                whole: EpochRecord = {
                    "kind": "epoch",
                    "epoch": place,
                    "step": step,
                    "t": seconds,
                    "seconds": seconds - previous[1],
                    "lr": self._at(self.points(LR), step),
                    "train": {"loss": math.nan, **self._means(previous[0], step)},
                    **measures,
                }
                epochs.append(whole)
                results.append(whole)
            else:
                evaluation: EvaluationRecord = {
                    "kind": "evaluation", "epoch": place, "step": step, "t": seconds, **measures
                }  # fmt: skip
                results.append(evaluation)
            previous = (step, seconds)
        return epochs, results

    @staticmethod
    def _at(points: Points, step: int) -> float:
        """The newest value up to a step; NaN if there is none."""
        steps, values = points
        place = int(np.searchsorted(steps, step, side="right")) - 1
        return float(values[place]) if place >= 0 else math.nan

    def _means(self, after: int, step: int) -> dict[str, float]:
        """Means of the training's series over the steps since the previous evaluation."""
        means = {}
        for name in self.names:
            split, _, metric = name.partition("/")
            if split == "train":
                steps, values = self.points(name)
                first, end = (int(np.searchsorted(steps, place, side="right")) for place in (after, step))
                known = values[first:end][np.isfinite(values[first:end])]
                if len(known):
                    means[metric] = float(known.mean())
        return means


def _joined(series: GrowingSeries, steps: npt.NDArray[np.float64], values: npt.NDArray[np.float64]) -> GrowingSeries:
    """The series with more points, in the order of their steps."""
    before, _ = series.points()
    falls = np.flatnonzero(np.diff(steps, prepend=before[-1:] if len(before) else steps[:1]) < 0)
    if not len(falls) and len(before) + len(steps) <= MOST_POINTS:
        series.extend(steps, values)
        return series
    x, y = (np.concatenate(pair) for pair in zip(series.points(), (steps, values), strict=True))
    if len(falls) > _MOST_RESTARTS:
        order = np.argsort(x, kind="stable")
        x, y = x[order], y[order]
    else:
        for fall in falls + len(before):
            keep = np.ones(len(x), dtype=bool)
            keep[:fall] = x[:fall] < x[fall]
            # Positions of later falls stay: what is cut is marked, not removed.
            x, y = np.where(keep, x, np.nan), np.where(keep, y, np.nan)
        kept = ~np.isnan(x)
        x, y = x[kept], y[kept]
    grown = GrowingSeries()
    grown.extend(*_thinned(x, y))
    return grown


def _thinned(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Points:
    """At most half of `MOST_POINTS` points of a longer series: of every few the lowest and the highest, in order."""
    if len(x) <= MOST_POINTS:
        return x, y
    size = 2 * -(-2 * len(x) // MOST_POINTS)
    count = len(x) // size
    blocks = np.where(np.isnan(y[: count * size]), 0.0, y[: count * size]).reshape(count, size)
    first = np.arange(count) * size
    places = np.sort(np.stack((first + blocks.argmin(1), first + blocks.argmax(1)), axis=1), axis=1).ravel()
    places = np.unique(np.concatenate((places, np.arange(count * size, len(x)))))
    return x[places], y[places]
