"""Further metrics of an evaluation: objects of the user's own or of torchmetrics, with update, compute and reset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...config import MetricConfig
from ...distributed.ranks import Ranks
from ...errors import ConfigError, TorchdeckError, UserCodeError
from ...metric_names import Metric, TargetKind, metric
from ...randomness import generators_kept
from ...user_code import (
    accepted_arguments,
    call_user_code,
    check_arguments,
    is_user_spec,
    load_object,
    raise_user_error,
)
from .torchmetrics_classes import TORCHMETRICS, as_torchmetrics_takes, check_keywords_of_base, torchmetrics_class

_WANTED = "a class of metrics, or a function that makes one"
_METHODS = ("update", "compute", "reset")


@dataclass(frozen=True)
class MetricTask:
    """What a metric is made for.

    Attributes:
        kind: what the targets are.
        num_outputs: classes, labels, or values per sample.
        device: of outputs and targets.
        classes: names of the classes or labels.
    """

    kind: TargetKind
    num_outputs: int
    device: torch.device
    classes: Sequence[str] = ()

    def supplied(self) -> dict[str, Any]:
        """Arguments that a metric is given where its signature names them and the config doesn't set them."""
        count = {"classes": "num_classes", "labels": "num_labels", "values": "num_outputs"}[self.kind]
        return {count: self.num_outputs, "classes": list(self.classes)}


@dataclass
class OwnMetric:
    """One metric of `evaluation.metrics`.

    Attributes:
        config: its part of the config.
        made: the object with update, compute and reset.
        task: what it was made for.
        figures: the names of what it measures; empty before it computed for the first time.
    """

    config: MetricConfig
    made: Any
    task: MetricTask
    figures: tuple[str, ...] = ()

    @property
    def larger_is_better(self) -> bool | None:
        """Which way it is better; None where neither the config nor the object says so."""
        if self.config.mode != "auto":
            return self.config.mode == "max"
        said = getattr(self.made, "higher_is_better", None)
        return said if isinstance(said, bool) else None

    def reset(self) -> None:
        """Begin to count anew."""
        self._call("reset")

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch, as `Meter.update`."""
        self._call("update", outputs.float(), targets)

    def compute(self) -> dict[str, float]:
        """The figures since the last reset, by the names that records have: KEY, or KEY.NAME of a mapping.

        Raises:
            ConfigError, UserCodeError: it raised, or returned something else than a number or numbers by name.
        """
        result = self._call("compute")
        key = self.config.record_key
        if isinstance(result, Mapping):
            found = {f"{key}.{name}": self._number(value, f"[{name!r}]") for name, value in result.items()}
        else:
            found = {key: self._number(result, "")}
        if self.figures and found.keys() != set(self.figures):
            raise UserCodeError(
                f"{self._where}: compute() returned {', '.join(found) or 'nothing'}; before it was "
                f"{', '.join(self.figures)}, and a metric measures the same figures every time"
            )
        self.figures = tuple(found)
        return found

    @property
    def _where(self) -> str:
        return f"metric {self.config.name}"

    def _call(self, method: str, *tensors: Tensor) -> Any:
        is_users = is_user_spec(self.config.name)
        if tensors and not is_users:
            tensors = as_torchmetrics_takes(self.task.kind, *tensors)
        elif tensors and self.task.kind != "classes":
            tensors = tensors[0], tensors[1].reshape(tensors[0].shape)
        try:
            # What a metric draws is no part of the run's randomness.
            with generators_kept(), torch.no_grad():
                return getattr(self.made, method)(*tensors)
        except TorchdeckError:
            raise
        except Exception as error:
            if is_users:
                raise_user_error(error, f"{self._where}: {method}")
            given = ", ".join(f"{list(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}" for tensor in tensors)
            raise ConfigError(f"{self._where}: {method}({given}) failed: {type(error).__name__}: {error}") from error

    def _number(self, value: Any, part: str) -> float:
        shape = list(np.shape(value)) if isinstance(value, Tensor | np.ndarray | list | tuple) else []
        if isinstance(value, Tensor | np.ndarray | np.generic) and np.prod(shape) == 1:
            value = value.item()
        if isinstance(value, int | float):
            return float(value)
        what = f"{type(value).__name__}{f' of {shape}' if shape else ''}"
        hint = ' (torchmetrics: another average than "none")' if shape and not is_user_spec(self.config.name) else ""
        raise UserCodeError(
            f"{self._where}: compute(){part} returned {what}; expected a number, or numbers by name in a dict{hint}"
        )


@dataclass(frozen=True)
class OwnMetrics:
    """All metrics of `evaluation.metrics`.

    Attributes:
        metrics: in the config's order.
        keeps_batches: whether what is counted is kept for the other processes.
    """

    metrics: Sequence[OwnMetric] = field(default_factory=tuple)
    keeps_batches: bool = False
    _counted: list[tuple[Tensor, Tensor]] = field(default_factory=list, repr=False, compare=False)

    @property
    def figures(self) -> list[str]:
        """Names of all that they measure."""
        return [name for each in self.metrics for name in each.figures]

    def reset(self) -> None:
        """Begin to count anew."""
        self._counted.clear()
        for each in self.metrics:
            each.reset()

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch, as `Meter.update`."""
        if self.keeps_batches:
            self._counted.append((outputs.cpu(), targets.cpu()))
        for each in self.metrics:
            each.update(outputs, targets)

    def add_up(self, ranks: Ranks) -> None:
        """Count what the other processes counted, too; see `Meter.add_up`.

        How a metric adds up to another of its kind is known to it alone, so each counts every batch itself, in the
        order of the processes.
        """
        if not self.metrics:
            return
        of_ranks = ranks.gathered(list(self._counted))
        self.reset()
        for outputs, targets in (batch for batches in of_ranks for batch in batches):
            for each in self.metrics:
                each.update(outputs.to(each.task.device), targets.to(each.task.device))

    def compute(self) -> dict[str, float]:
        """All figures by name."""
        return {name: value for each in self.metrics for name, value in each.compute().items()}

    def deciding(self, name: str, setting: str) -> Metric:
        """A figure that a decision follows.

        Args:
            name: one of `figures`.
            setting: that names it, for the message.

        Raises:
            ConfigError: which way it is better isn't known.
        """
        owner = next(each for each in self.metrics if name in each.figures)
        larger_is_better = owner.larger_is_better
        if larger_is_better is None:
            raise ConfigError(
                f"{setting} = '{name}': whether its largest or its smallest value is the best isn't known; set "
                f'mode = "max" or mode = "min" beside {owner.config.name} in evaluation.metrics'
            )
        return Metric(name, metric(name).title, "", larger_is_better)


def check_metrics(configs: Sequence[MetricConfig]) -> None:
    """Check the names and the arguments of metrics. Imports the user's own files, and makes no metric.

    Raises:
        ConfigError: no such metric, or an argument that it doesn't take.
        UserCodeError: the user's file raised when it was imported.
    """
    for config in configs:
        any_task = {"num_classes": 2, "num_labels": 2, "num_outputs": 2, "classes": ["0", "1"]}
        _checked_maker(config, any_task)


def make_metrics(configs: Sequence[MetricConfig], task: MetricTask, targets: Tensor) -> OwnMetrics:
    """Make metrics and try each on a batch of random outputs, so that what can't work is known before training.

    Args:
        configs: the metrics.
        task: what they are made for.
        targets: of some samples of the training split, on the task's device.

    Raises:
        ConfigError, UserCodeError: as `check_metrics`; a metric that failed, or returned no figures.
    """
    outputs = torch.randn(len(targets), task.num_outputs, generator=torch.Generator().manual_seed(0))
    made = OwnMetrics([_made(config, task) for config in configs])
    made.update(outputs.to(task.device), targets)
    made.compute()
    made.reset()
    return made


def _made(config: MetricConfig, task: MetricTask) -> OwnMetric:
    where = f"metric {config.name}"
    maker, arguments = _checked_maker(config, task.supplied())
    if is_user_spec(config.name):
        made = call_user_code(maker, arguments, where)
        missing = [name for name in _METHODS if not callable(getattr(made, name, None))]
        if missing:
            raise UserCodeError(
                f"{where}: returned {type(made).__name__}, which has no {' and no '.join(missing)}; expected an "
                "object with update(outputs, targets), compute() and reset()"
            )
    else:
        try:
            made = maker(**arguments)
        except Exception as error:
            raise ConfigError(f"{where}: {error}") from error
        # Processes exchange batches themselves: added up by torchmetrics too, each would count as often as there are.
        made.sync_on_compute = False
    on_device = getattr(made, "to", None)
    return OwnMetric(config, on_device(task.device) if callable(on_device) else made, task)


def _checked_maker(config: MetricConfig, supplied: Mapping[str, Any]) -> tuple[Callable[..., Any], dict[str, Any]]:
    """What makes the metric, and all arguments that it is called with."""
    where = f"metric {config.name}"
    if is_user_spec(config.name):
        maker = load_object(config.name, _WANTED)
        ours = accepted_arguments(maker, supplied)
    elif config.name.startswith(TORCHMETRICS):
        maker = torchmetrics_class(config.name)
        ours = accepted_arguments(maker, _for_torchmetrics(supplied))
        check_keywords_of_base(maker, config.arguments, where)
    else:
        raise ConfigError(
            f"{where}: no such metric; name your own as path/to/file.py:name, or a class of torchmetrics as "
            "torchmetrics.classification.MulticlassF1Score"
        )
    check_arguments(maker, config.arguments, where, ours)
    return maker, {**ours, **config.arguments}


def _for_torchmetrics(supplied: Mapping[str, Any]) -> dict[str, Any]:
    """Without the number of values: there it asks for one figure per value, and a record has one number."""
    tasks = {"num_classes": "multiclass", "num_labels": "multilabel"}
    counts = {name: value for name, value in supplied.items() if name in tasks}
    return counts | ({"task": tasks[next(iter(counts))]} if counts else {})
