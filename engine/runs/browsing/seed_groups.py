"""Runs that differ by the seed alone, as one result: mean, spread and number."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from ...config.file import MAX_CONFIG_BYTES
from ...files.regular_file import read_regular_file
from ...run_files import CONFIG_FILE
from ..on_disk.directory import ENDED_STATUSES, RunSummary, run_directories, summarize_run
from ..on_disk.state_file import BestResult
from .run_catalog import RunCatalog

_SEED = "seed"
# What does not change the result.
_APART = ("name", "notify.", "mirror.")


class SpreadDocument(TypedDict):
    """A figure of several runs.

    Attributes:
        mean: the mean of those that have it.
        std: their standard deviation, with n - 1; NaN for a single one.
        n: how many have it.
    """

    mean: float
    std: float
    n: int


class BestSpreadDocument(SpreadDocument):
    """The best results of several runs.

    Attributes:
        metric: by which every run's best is judged.
        mean: the mean of those that have it.
        std: their standard deviation, with n - 1; NaN for a single one.
        n: how many have it.
    """

    metric: str


class GroupDocument(TypedDict):
    """Runs that differ by the seed alone.

    Attributes:
        runs: names of the runs, the newest first.
        seeds: the seed of each.
        n: number of runs.
        best: mean and spread of the best results; None where the runs have none of the same metric.
        metrics: mean and spread of each metric of the runs' newest evaluations.
    """

    runs: list[str]
    seeds: list[int]
    n: int
    best: BestSpreadDocument | None
    metrics: dict[str, SpreadDocument]


@dataclass(frozen=True)
class Spread:
    """A figure of several runs.

    Attributes:
        mean: the mean of those that have it.
        std: their standard deviation, with n - 1; NaN for a single one.
        n: how many have it.
    """

    mean: float
    std: float
    n: int

    def document(self) -> SpreadDocument:
        """The figure for other programs."""
        return {"mean": self.mean, "std": self.std, "n": self.n}


@dataclass(frozen=True)
class SeedGroup:
    """Runs that differ by the seed alone, the newest first.

    Attributes:
        runs: the runs; of one seed that was trained several times, the newest one that ended as it should.
        seeds: the seed of each.
    """

    runs: tuple[RunSummary, ...]
    seeds: tuple[int, ...]

    @property
    def best_metric(self) -> str:
        """The metric by which every run's best is judged; empty where they differ, or have none."""
        named = {run.best["metric"] for run in self.runs if run.best}
        return named.pop() if len(named) == 1 else ""

    def best_values(self) -> dict[int, float]:
        """The best result of each run by its seed, as far as it has one."""
        return {seed: run.best["value"] for seed, run in zip(self.seeds, self.runs, strict=True) if run.best}

    def best(self) -> Spread | None:
        """Mean and spread of the best results; None where the runs have none of the same metric."""
        return spread(list(self.best_values().values())) if self.best_metric else None

    def metrics(self) -> dict[str, Spread]:
        """Mean and spread of each metric of the runs' newest evaluations."""
        names = dict.fromkeys(name for run in self.runs for name in run.metrics)
        found = {name: spread([run.metrics[name] for run in self.runs if name in run.metrics]) for name in names}
        return {name: each for name, each in found.items() if each is not None}

    def summary(self) -> RunSummary:
        """The newest run, with the means of all in place of its own results."""
        newest, best = self.runs[0], self.best()
        metrics = {name: each.mean for name, each in self.metrics().items()}
        if best is None or newest.best is None:
            return replace(newest, metrics=metrics)
        mean: BestResult = {**newest.best, "value": best.mean}
        return replace(newest, metrics=metrics, best=mean)

    def document(self) -> GroupDocument:
        """The group for other programs."""
        best = self.best()
        return {
            "runs": [run.name for run in self.runs],
            "seeds": list(self.seeds),
            "n": len(self.runs),
            "best": {"metric": self.best_metric, **best.document()} if best is not None else None,
            "metrics": {name: each.document() for name, each in self.metrics().items()},
        }


def spread(values: Sequence[float]) -> Spread | None:
    """Mean and standard deviation of the finite ones; None where there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return None
    return Spread(statistics.fmean(finite), statistics.stdev(finite) if len(finite) > 1 else math.nan, len(finite))


def seed_groups(runs: Sequence[RunSummary], settings: Callable[[RunSummary], Mapping[str, Any]]) -> list[SeedGroup]:
    """The runs in groups; one without a companion is a group of itself.

    Args:
        runs: runs in any order, which the groups keep by their first run.
        settings: gives the config of a run by dotted key.
    """
    by_settings: dict[object, list[tuple[int, RunSummary]]] = {}
    for run in runs:
        own = settings(run)
        seed = own.get(_SEED, 0)
        key: object = _rest(own) if own and isinstance(seed, int) else run.path
        by_settings.setdefault(key, []).append((seed if isinstance(seed, int) else 0, run))
    return [_group(members) for members in by_settings.values()]


def find_group(run: Path) -> SeedGroup:
    """The runs in a run's folder that differ from it by the seed alone, and itself."""
    own = _text_without_seed(run)
    alike = [path for path in run_directories(run.parent) if path == run or (own and _text_without_seed(path) == own)]
    catalog = RunCatalog(run.parent)
    groups = seed_groups([summarize_run(path) for path in alike], catalog.settings)
    # Where a seed was trained twice, the group has the better of the two, which need not be this one.
    return max(groups, key=lambda group: (any(each.path == run for each in group.runs), len(group.runs)))


def _text_without_seed(run: Path) -> str:
    """A run's config without the lines that may differ in a group: quicker than reading thousands of them as TOML."""
    try:
        text = read_regular_file(run / CONFIG_FILE, MAX_CONFIG_BYTES, follow_links=True).decode(errors="replace")
    except OSError:
        return ""
    top, *sections = text.split("\n[")
    lines = [line for line in top.splitlines() if not line.startswith(("name =", "seed ="))]
    kept = [section for section in sections if not section.startswith(("notify]", "mirror]"))]
    return "\n[".join(["\n".join(lines), *kept])


def _rest(settings: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """All but the seed, and what does not change the result."""
    return tuple(
        (key, repr(value)) for key, value in sorted(settings.items()) if key != _SEED and not key.startswith(_APART)
    )


def _group(members: list[tuple[int, RunSummary]]) -> SeedGroup:
    """One run a seed: one that ended as it should before one that did not, then the newest."""
    chosen: dict[int, RunSummary] = {}
    for seed, run in sorted(members, key=lambda each: _worth(each[1])):
        chosen[seed] = run
    newest_first = sorted(chosen.items(), key=lambda each: (each[1].started, each[1].name), reverse=True)
    return SeedGroup(tuple(run for _, run in newest_first), tuple(seed for seed, _ in newest_first))


def _worth(run: RunSummary) -> tuple[bool, bool, float, str]:
    return run.status == "finished", run.status in ENDED_STATUSES, run.started, run.name
