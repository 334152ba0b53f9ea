"""Settings of a sweep: the section of a run's file that says what is varied. A run by itself takes no notice of it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .run import RunConfig
from .section import Section

SWEEP_SECTION = "sweep"

Sampler = Literal["tpe", "gp", "cmaes", "random", "grid", "qmc", "nsga2"]
Pruner = Literal["none", "median", "asha", "hyperband", "wilcoxon"]


class SweepConfig(Section):
    """What `torchdeck sweep` varies, how values are chosen, and which trials are cut short."""

    metric: str | list[str] = Field(
        default="auto",
        description="what is optimized: a validation metric, parameters, seconds or memory; -NAME minimizes, +NAME "
        'maximizes; several for a Pareto front: ["accuracy", "-parameters"]; auto: accuracy, or loss for numeric '
        "targets",
    )
    trials: int = Field(default=20, ge=1, le=100_000, description="number of trials, failed and pruned ones included")
    epochs: int = Field(default=0, ge=0, le=1_000_000, description="epochs per trial; 0: as in training.epochs")
    sampler: Sampler = Field(default="tpe", description="how the next values are chosen")
    pruner: Pruner = Field(
        default="none",
        description="which trials are stopped early, judged after each evaluation; wilcoxon judges after each seed",
    )
    seeds: int = Field(
        default=1, ge=1, le=100, description="runs per trial with seeds seed, seed + 1, …; their mean is the result"
    )
    retries: int = Field(default=2, ge=0, le=100, description="how often the killed run of a trial is resumed")
    constraints: list[str] = Field(
        default_factory=list,
        description='what a result must satisfy: ["memory < 20e9", "parameters <= 1e6"]',
    )
    seed: int = Field(default=0, ge=0, lt=2**31, description="seed of the sampler")
    storage: str = Field(
        default="",
        description="database of the trials by URL, as SQLAlchemy names it; $NAME: the URL in that environment "
        "variable; empty: a journal in the sweep's folder",
    )
    space: dict[str, Any] = Field(
        default_factory=dict,
        description="settings that are varied, by dotted key: a list of choices, or { low, high, log, step, when }",
    )


class SweptRun(RunConfig):
    """A run's file with its section [sweep]."""

    sweep: SweepConfig = Field(default_factory=SweepConfig)
