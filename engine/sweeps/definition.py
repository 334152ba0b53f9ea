"""What a sweep is: the run that it varies, and how. Read from a run's file, or from the sweep's own `sweep.toml`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config.file import config_from_values, config_values, load_sweep
from ..config.run import RunConfig
from ..config.sweep import SWEEP_SECTION, SweepConfig
from ..errors import ConfigError
from .objective import Constraint, Objective, read_constraints, read_objectives
from .space import Dimension, read_space, with_settings

_SEARCHED_ALONE = ("median", "asha", "hyperband")


@dataclass(frozen=True)
class Definition:
    """A checked sweep.

    Attributes:
        config: the run that is varied.
        sweep: the section [sweep].
        space: what is varied, in the order in which values are chosen.
        objectives: what is optimized.
        constraints: what results must satisfy.
    """

    config: RunConfig
    sweep: SweepConfig
    space: tuple[Dimension, ...]
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]

    @property
    def trials(self) -> int:
        """How many trials the sweep has: as many as it says, but of a grid no point twice."""
        if self.sweep.sampler != "grid":
            return self.sweep.trials
        return min(self.sweep.trials, math.prod(len(dimension.grid()) for dimension in self.space))

    def trial_config(self, settings: Mapping[str, Any]) -> RunConfig:
        """The config of a trial with these settings by dotted key. Raises ConfigError."""
        fixed: dict[str, Any] = {"notify.on": []}
        if self.sweep.epochs:
            fixed["training.epochs"] = self.sweep.epochs
        return with_settings(self.config, {**fixed, **settings})

    def full_config(self, settings: Mapping[str, Any]) -> RunConfig:
        """The run with a trial's settings at full length, to be trained by itself. Raises ConfigError."""
        return with_settings(self.config, settings)


def read_definition(spec: str, overrides: Sequence[str] = ()) -> Definition:
    """The sweep that a preset or file describes, with `KEY=VALUE` overrides applied. Raises ConfigError."""
    loaded = load_sweep(spec, overrides)
    values = config_values(loaded)
    values.pop(SWEEP_SECTION)
    config, sweep = config_from_values(values), loaded.sweep
    if not sweep.space:
        raise ConfigError(
            f"{spec}: has no [sweep.space], so there is nothing to vary; add, for example:\n"
            '  [sweep.space]\n  "optimizer.lr" = { low = 1e-4, high = 1e-1, log = true }'
        )
    definition = Definition(
        config,
        sweep,
        tuple(read_space(config, sweep.space)),
        tuple(read_objectives(config, sweep)),
        tuple(read_constraints(config, sweep)),
    )
    _check_together(definition)
    return definition


def _check_together(definition: Definition) -> None:
    """Raise ConfigError for settings of the sweep that exclude each other."""
    sweep = definition.sweep
    keys = {dimension.key for dimension in definition.space}
    if len(definition.objectives) > 1 and sweep.pruner != "none":
        raise ConfigError(f"sweep.pruner = '{sweep.pruner}': trials with several metrics can't be pruned; use none")
    if len(definition.objectives) > 1 and sweep.sampler == "cmaes":
        raise ConfigError("sweep.sampler = 'cmaes': optimizes one metric; use tpe, gp or nsga2 for several")
    if sweep.pruner in _SEARCHED_ALONE and sweep.seeds > 1:
        raise ConfigError(
            f"sweep.pruner = '{sweep.pruner}': judges epochs, but with sweep.seeds = {sweep.seeds} a trial has "
            "several runs; use wilcoxon or none"
        )
    if sweep.pruner == "wilcoxon" and sweep.seeds < 3:
        raise ConfigError(f"sweep.pruner = 'wilcoxon': compares seeds, but sweep.seeds = {sweep.seeds}; use 3 or more")
    if sweep.seeds > 1 and "seed" in keys:
        raise ConfigError("sweep.seeds sets the seed of every run, so sweep.space can't vary seed")
    if sweep.epochs and "training.epochs" in keys:
        raise ConfigError("sweep.epochs sets training.epochs, so sweep.space can't vary it")
    if sweep.sampler == "grid":
        for dimension in definition.space:
            dimension.grid()
