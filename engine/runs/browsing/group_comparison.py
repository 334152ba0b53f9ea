"""Whether the difference between two groups of seeds is more than noise.

Where the groups share at least four seeds, the differences of runs of the same seed are looked at: what a seed does to
both falls out. Otherwise the means are compared. The interval is a bootstrap of the studentized mean (bootstrap-t): a
plain percentile interval calls every fourth difference of five seeds real where there is none.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

from .seed_groups import SeedGroup

FEWEST_PAIRS, FEWEST_RUNS = 4, 3
_RESAMPLES = 2000
_CONFIDENCE = 0.95


class DifferenceDocument(TypedDict):
    """The second group's results minus the first's.

    Attributes:
        metric: which result.
        mean: mean of the difference.
        low: lower end of the 95 % interval; NaN where there are too few runs.
        high: its upper end.
        pairs: seeds that both groups have, where they were compared by pairs; 0 where the means were.
        n: number of results of each group.
        more_than_noise: whether the interval leaves out 0; None where there are too few runs.
    """

    metric: str
    mean: float
    low: float
    high: float
    pairs: int
    n: list[int]
    more_than_noise: bool | None


@dataclass(frozen=True)
class GroupDifference:
    """The second group's results minus the first's.

    Attributes:
        metric: which result.
        mean: mean of the difference.
        low: lower end of the 95 % interval; NaN where there are too few runs.
        high: its upper end.
        pairs: seeds that both groups have, where they were compared by pairs; 0 where the means were.
        n: number of results of each group.
    """

    metric: str
    mean: float
    low: float
    high: float
    pairs: int
    n: tuple[int, int]

    @property
    def is_known(self) -> bool:
        """Whether there are runs enough to say anything."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    @property
    def is_more_than_noise(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.is_known and (self.low > 0 or self.high < 0)

    def document(self) -> DifferenceDocument:
        """The difference for other programs."""
        return {
            "metric": self.metric,
            "mean": self.mean,
            "low": self.low,
            "high": self.high,
            "pairs": self.pairs,
            "n": list(self.n),
            "more_than_noise": self.is_more_than_noise if self.is_known else None,
        }


def compare_groups(first: SeedGroup, second: SeedGroup) -> GroupDifference | None:
    """Compare the best results of two groups; None where they are not judged by the same metric."""
    metric = first.best_metric
    if not metric or metric != second.best_metric:
        return None
    one, other = _finite(first.best_values()), _finite(second.best_values())
    if not one or not other:
        return None
    sizes = (len(one), len(other))
    shared = sorted(one.keys() & other.keys())
    if len(shared) >= FEWEST_PAIRS:
        differences = [other[seed] - one[seed] for seed in shared]
        low, high = _interval([differences])
        return GroupDifference(metric, statistics.fmean(differences), low, high, len(shared), sizes)
    mean = statistics.fmean(other.values()) - statistics.fmean(one.values())
    low, high = math.nan, math.nan
    if min(sizes) >= FEWEST_RUNS:
        low, high = _interval([list(other.values()), [-value for value in one.values()]])
    return GroupDifference(metric, mean, low, high, 0, sizes)


def _finite(values: Mapping[int, float]) -> dict[int, float]:
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def _interval(samples: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The bootstrap-t interval of the sum of the samples' means; the same one every time."""
    rng = random.Random(0)
    mean, error = _mean_and_error(samples)
    if error == 0:
        return mean, mean
    studentized = []
    for _ in range(_RESAMPLES):
        drawn = [rng.choices(sample, k=len(sample)) for sample in samples]
        its_mean, its_error = _mean_and_error(drawn)
        if its_error > error * 1e-9:
            studentized.append((its_mean - mean) / its_error)
    studentized.sort()
    tail = (1 - _CONFIDENCE) / 2
    at_low, at_high = int(tail * len(studentized)), int((1 - tail) * len(studentized)) - 1
    return mean - studentized[at_high] * error, mean - studentized[at_low] * error


def _mean_and_error(samples: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The sum of the means, and its standard error."""
    total = variance = 0.0
    for sample in samples:
        count = len(sample)
        mean = sum(sample) / count
        total += mean
        variance += sum((value - mean) ** 2 for value in sample) / (count - 1) / count
    return total, math.sqrt(variance)
