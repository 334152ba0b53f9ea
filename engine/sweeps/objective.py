"""What a sweep optimizes: metrics and other figures of runs, which way each is better, and what must be satisfied."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ..config.run import RunConfig
from ..config.sweep import SweepConfig
from ..errors import ConfigError, did_you_mean
from ..metric_names import AUTO, METRICS, is_measured, metric
from ..runs.on_disk.metrics_record import ResultRecord

if TYPE_CHECKING:
    # It needs numpy, which lists of trials do without.
    from ..runs.reader import RunReader

Direction = Literal["maximize", "minimize"]

FIGURES = ("parameters", "seconds", "memory")
"""What is known of a run besides its metrics: parameters of the model, training seconds, and peak bytes, of the GPU
where it uses one."""

_NUMERIC_LOSSES = ("mse", "l1", "smooth_l1", "huber")
_CLASS_LOSSES = ("cross_entropy", "bce")
_CONSTRAINT = re.compile(r"\s*([A-Za-z_][\w.-]*)\s*(<=|>=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class Objective:
    """One figure that is optimized.

    Attributes:
        name: the metric or figure.
        direction: which way it is better.
    """

    name: str
    direction: Direction

    @property
    def is_maximized(self) -> bool:
        """Whether larger values are better."""
        return self.direction == "maximize"


@dataclass(frozen=True)
class Constraint:
    """A condition that a result must satisfy.

    Attributes:
        name: a metric or figure.
        operator: how it is compared.
        bound: with what.
    """

    name: str
    operator: str
    bound: float

    @property
    def text(self) -> str:
        """The condition in words."""
        return f"{self.name} {self.operator} {self.bound:g}"

    def excess(self, value: float) -> float:
        """How far a value violates it; 0 or less where it does not."""
        excess = value - self.bound if self.operator.startswith("<") else self.bound - value
        return excess if len(self.operator) == 2 or excess != 0 else math.ulp(self.bound)


def read_objectives(config: RunConfig, sweep: SweepConfig) -> list[Objective]:
    """What a sweep optimizes. Raises ConfigError for an unknown metric, or one of unknown direction."""
    named = [sweep.metric] if isinstance(sweep.metric, str) else sweep.metric
    if not named:
        raise ConfigError('sweep.metric = []: must name at least one metric, such as "accuracy"')
    objectives = [_objective(config, text.strip()) for text in named]
    names = [objective.name for objective in objectives]
    if len(set(names)) < len(names):
        raise ConfigError(f"sweep.metric: names {', '.join(names)}; each only once")
    return objectives


def read_constraints(config: RunConfig, sweep: SweepConfig) -> list[Constraint]:
    """What results must satisfy. Raises ConfigError."""
    return [_constraint(config, text) for text in sweep.constraints]


def _objective(config: RunConfig, text: str) -> Objective:
    name = text.lstrip("+-")
    if name == AUTO:
        name = config.checkpoint.best_metric
    if name == AUTO:
        if config.loss.name not in (*_NUMERIC_LOSSES, *_CLASS_LOSSES):
            raise ConfigError(
                f"sweep.metric = '{text}': {config.loss.name} leaves open what the targets are; name a metric"
            )
        name = "loss" if config.loss.name in _NUMERIC_LOSSES else "accuracy"
    _check_known(config, name, f"sweep.metric = '{text}'")
    if text[:1] in "+-" and text:
        return Objective(name, "maximize" if text.startswith("+") else "minimize")
    if name in METRICS:
        return Objective(name, "maximize" if metric(name).larger_is_better else "minimize")
    if name in FIGURES:
        return Objective(name, "minimize")
    modes = {own.record_key: own.mode for own in config.evaluation.metrics}
    mode = modes.get(name.partition(".")[0], AUTO)
    if mode == AUTO:
        raise ConfigError(
            f"sweep.metric = '{text}': which way is it better? Write '+{name}' to maximize, '-{name}' to minimize"
        )
    return Objective(name, "maximize" if mode == "max" else "minimize")


def _constraint(config: RunConfig, text: str) -> Constraint:
    found = _CONSTRAINT.fullmatch(text)
    try:
        bound = float(found[3]) if found is not None else math.nan
    except ValueError:
        bound = math.nan
    if found is None or not math.isfinite(bound):
        raise ConfigError(f'sweep.constraints: {text!r}: write NAME < NUMBER, as in "memory < 20e9"; also <= > >=')
    _check_known(config, found[1], f"sweep.constraints: {text!r}")
    return Constraint(found[1], found[2], bound)


def _check_known(config: RunConfig, name: str, place: str) -> None:
    keys = config.evaluation.metric_keys
    if name not in FIGURES and not is_measured(name, keys):
        raise ConfigError(f"{place}: unknown metric{did_you_mean(name, [*METRICS, *keys, *FIGURES])}")


def measured(record: ResultRecord, config: RunConfig) -> Mapping[str, float]:
    """The metrics of an evaluation that decide: of the averaged weights where those decide what is best."""
    if config.ema.decay > 0 and config.ema.decides_best and (averaged := record.get("ema")):
        return averaged
    return record["validation"]


def figures_of(reader: RunReader, objective: Objective) -> dict[str, float]:
    """The metrics of the run's best evaluation by an objective, and its other figures. What is not known is left out.

    Args:
        reader: the run, read up to now.
        objective: decides which evaluation is meant; the last one where it is no metric.
    """
    config = reader.config()
    evaluations = [measured(record, config) for record in reader.evaluation_records()]
    rated = [each for each in evaluations if math.isfinite(each.get(objective.name, math.nan))]
    figures: dict[str, float] = {}
    if rated:
        best = max if objective.is_maximized else min
        figures |= best(rated, key=lambda each: each[objective.name])
    elif evaluations and objective.name in FIGURES:
        figures |= evaluations[-1]
    parameters = reader.info().get("parameters")
    if isinstance(parameters, int):
        figures["parameters"] = float(parameters)
    records = reader.epoch_records()
    if records:
        figures["seconds"] = float(records[-1]["t"])
    peaks = [peak for sample in reader.system_samples() if (peak := _memory(sample)) is not None]
    if peaks:
        figures["memory"] = max(peaks)
    return figures


def _memory(sample: Mapping[str, Any]) -> float | None:
    gpu = sample.get("gpu")
    value = gpu.get("memory_used") if isinstance(gpu, dict) else sample.get("memory")
    return float(value) if isinstance(value, int | float) else None


def values_of(objectives: Sequence[Objective], figures: Mapping[str, float]) -> list[float] | str:
    """The values of a trial, in the order of its objectives; why there are none where one is not known."""
    values = [figures.get(objective.name, math.nan) for objective in objectives]
    missing = [each.name for each, value in zip(objectives, values, strict=True) if not math.isfinite(value)]
    return f"no finite value of {', '.join(missing)} was measured" if missing else values
