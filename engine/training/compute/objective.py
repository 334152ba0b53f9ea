"""Objective of a run: a loss with its targets and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...config import EvaluationConfig, LossConfig, RunConfig
from ...errors import ConfigError, DataError
from ...metric_names import (
    AUTO,
    METRICS,
    TRAINING_SCORE,
    Metric,
    TargetKind,
    TrainingScore,
    decisive_metric,
    watched_by_schedule,
)
from ...user_code import raise_user_error
from ..metrics.label_metrics import compared_labels
from ..metrics.meter import Meter, MeterWithOwn, MetricOptions, new_meter
from ..metrics.own_metrics import MetricTask, OwnMetrics, make_metrics
from .loss_weights import LossWeights, on_host, weights_of_user_loss
from .losses import (
    LossFunction,
    UserLoss,
    binary_cross_entropy,
    check_loss,
    check_scalar,
    cross_entropy,
    in_columns,
    user_loss,
    value_loss,
)

# Metrics are tried on so many: enough for a correlation, too few to wait for.
_TRIED_SAMPLES = 64


@dataclass(frozen=True)
class Objective:
    """A loss on its device, with what it has to fit.

    Attributes:
        name: name of the loss.
        kind: kind of the targets.
        num_outputs: numbers that the model returns for a sample.
        loss: mean loss of a batch in training.
        plain_loss: mean loss of a batch in evaluation: without smoothing and weights, so that runs compare.
        class_weights: float32 [C] on the device, what a sample of each class counts in the mean; None when all count
            alike.
        weights: what a batch counts in `loss`, beside others.
        plain_weights: what it counts in `plain_loss`.
        loss_sum: sum of the weighted losses of a batch, where one whose mean is NaN may add to it: label smoothing
            spreads over classes that count. None where the mean says as much.
        options: options of the metrics.
        device: device of outputs and targets.
        own_metrics: what is measured beside torchdeck's metrics.
    """

    name: str
    kind: TargetKind
    num_outputs: int
    loss: LossFunction
    plain_loss: LossFunction
    class_weights: Tensor | None
    options: MetricOptions
    device: torch.device
    own_metrics: OwnMetrics = field(default_factory=OwnMetrics)
    weights: LossWeights = field(default_factory=LossWeights)
    plain_weights: LossWeights = field(default_factory=LossWeights)
    loss_sum: LossFunction | None = None

    @property
    def score_name(self) -> TrainingScore:
        """What `scores` measures."""
        return TRAINING_SCORE[self.kind]

    @property
    def needed_outputs(self) -> str:
        """How many outputs the model needs and why, for a message."""
        of = {"classes": "classes", "labels": "labels", "values": "values per sample"}[self.kind]
        return f"the data's {self.num_outputs} {of}"

    def weight(self, targets: Tensor) -> Tensor | int:
        """What a batch counts in the loss of several, of which each is a mean itself."""
        return _batch_weight(self.weights, self.kind, targets)

    def plain_weight(self, targets: Tensor) -> Tensor | int:
        """What a batch counts in the `plain_loss` of several."""
        return _batch_weight(self.plain_weights, self.kind, targets)

    def window_weights(self, window: Sequence[Tensor]) -> Sequence[Tensor | float]:
        """The weight of each batch of a window, by its targets: numbers where one may be 0.

        These wait for the device. A batch that counts nothing has no mean loss: it must be left out, not multiplied
        by 0.
        """
        weights = [self.weight(targets) for targets in window]
        return on_host(weights) if self.weights.may_be_zero else weights

    @property
    def notes(self) -> list[str]:
        """What is to be said of the loss before it is trained with."""
        if self.weights.are_known:
            return []
        return [
            f"{self.name} is not a mean over samples, so the loss of several batches can't be computed from theirs: "
            "losses of epochs and evaluations, and steps with training.accumulate or in smaller parts, average "
            "batches by their number of samples; a method batch_weight(targets) that returns the sum of the weights "
            "makes them exact"
        ]

    def compared(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What was predicted and what should have been: class indices [B], labels as bool [B, K], or numbers [B, K].

        Where targets are shares of the classes, the class with the largest is right, the first of equals.
        """
        if self.kind == "classes":
            return outputs.argmax(dim=1), targets.argmax(dim=1) if targets.is_floating_point() else targets
        if self.kind == "labels":
            return compared_labels(outputs, in_columns(targets), self.options.threshold)
        return outputs.float(), in_columns(targets)

    def scores(self, predicted: Tensor, wanted: Tensor) -> Tensor:
        """Right classes or labels, or absolute error, of every sample [B]; the score of a step is their mean over
        samples and outputs. Of what `compared` gives."""
        if self.kind == "classes":
            return predicted == wanted
        if self.kind == "labels":
            return (predicted == wanted).sum(dim=1)
        return (predicted - wanted).abs().sum(dim=1)

    @property
    def scores_a_sample(self) -> int:
        """What a sample's entry of `scores` has to be divided by."""
        return 1 if self.kind == "classes" else self.num_outputs

    def new_meter(self) -> Meter:
        """What an evaluation counts with."""
        meter = new_meter(self.kind, self.num_outputs, self.device, self.options)
        if not self.own_metrics.metrics:
            return meter
        self.own_metrics.reset()
        return MeterWithOwn(meter, self.own_metrics)

    def deciding(self, name: str, setting: str) -> Metric:
        """The metric that a setting names, with the way it is better.

        Raises:
            ConfigError: it is not measured for the targets, or which way it is better isn't known.
        """
        name = decisive_metric(name, self.kind, setting, self.own_metrics.figures)
        return METRICS[name] if name in METRICS else self.own_metrics.deciding(name, setting)


@dataclass(frozen=True)
class DecisiveMetrics:
    """The metrics that a run's decisions follow.

    Attributes:
        best: decides which weights are best.
        early_stopping: has to improve.
        schedule: what ReduceLROnPlateau watches.
    """

    best: Metric
    early_stopping: Metric
    schedule: Metric

    @classmethod
    def of(cls, config: RunConfig, objective: Objective) -> DecisiveMetrics:
        """Those that the config names. Raises ConfigError for one that can't decide: see `Objective.deciding`."""
        best = objective.deciding(config.checkpoint.best_metric, "checkpoint.best_metric")
        stopping, watched = config.early_stopping.metric, config.schedule.metric
        return cls(
            best,
            best if stopping == AUTO else objective.deciding(stopping, "early_stopping.metric"),
            objective.deciding(watched_by_schedule(watched), "schedule.metric"),
        )


def _batch_weight(weights: LossWeights, kind: TargetKind, targets: Tensor) -> Tensor | int:
    # A mean over soft targets is one over samples, whatever their classes weigh.
    if weights.of_batch is None or (kind == "classes" and targets.is_floating_point()):
        return len(targets)
    return weights.of_batch(targets)


def build_objective(
    loss: LossConfig,
    evaluation: EvaluationConfig,
    targets: NDArray[Any] | None,
    classes: Sequence[str],
    device: torch.device,
) -> Objective:
    """The objective for a training split, checked against its targets.

    Args:
        loss: the `[loss]` section.
        evaluation: the `[evaluation]` section.
        targets: of the training split: int64 [N] class indices, float32 [N] or [N, K]; None for what is neither.
        classes: names of the classes or labels; empty for numbers.
        device: device of outputs and targets.

    Raises:
        ConfigError: a loss that doesn't go with the targets, weights that don't go with the classes.
        DataError: labels that are neither 0 nor 1 nor between.
        UserCodeError: the user's loss or metric failed, or returned something else than a scalar.
    """
    entry = check_loss(loss)
    if targets is None:
        raise ConfigError(
            f'loss.name = "{loss.name}": the data\'s targets are neither class indices nor numbers; no loss '
            "supports them"
        )
    kind = entry.kind if entry is not None else _kind_of(targets)
    _check_targets(loss.name, kind, targets, len(classes))
    num_outputs = len(classes) if kind == "classes" else (targets.shape[1] if targets.ndim == 2 else 1)
    weights = _weights(loss, kind, targets, num_outputs)
    on_device = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    function: LossFunction
    plain: LossFunction
    if entry is None:
        function = plain = user_loss(loss, device, has_classes=kind == "classes")
    elif kind == "classes":
        function, plain = cross_entropy(loss.label_smoothing, on_device), cross_entropy(0.0, None)
    elif kind == "labels":
        function, plain = binary_cross_entropy(on_device), binary_cross_entropy(None)
    else:
        function = plain = value_loss(loss)
    counted = LossWeights() if on_device is None or kind != "classes" else LossWeights.of_classes(on_device)
    objective = Objective(
        name=loss.name,
        kind=kind,
        num_outputs=num_outputs,
        loss=function,
        plain_loss=plain,
        class_weights=on_device if kind == "classes" else None,
        options=MetricOptions(evaluation.top_k, evaluation.calibration_bins, evaluation.threshold),
        device=device,
        weights=counted,
        loss_sum=cross_entropy(loss.label_smoothing, on_device, "sum") if counted.may_be_zero else None,
        own_metrics=_own_metrics(evaluation, MetricTask(kind, num_outputs, device, classes), targets),
    )
    if isinstance(function, UserLoss):
        few = torch.as_tensor(np.array(targets[:_TRIED_SAMPLES])).to(device)
        few = few.float() if few.is_floating_point() else few
        _try(objective, few[:2])
        own = weights_of_user_loss(function, loss.name, few, num_outputs)
        return replace(objective, weights=own, plain_weights=own)
    return objective


def _own_metrics(evaluation: EvaluationConfig, task: MetricTask, targets: NDArray[Any]) -> OwnMetrics:
    if not evaluation.metrics:
        return OwnMetrics()
    few = torch.as_tensor(np.array(targets[:_TRIED_SAMPLES])).to(task.device)
    return make_metrics(evaluation.metrics, task, few.float() if few.is_floating_point() else few)


def class_objective(num_classes: int, device: torch.device) -> Objective:
    """Plain cross-entropy over `num_classes` classes, for use without data."""
    names = [str(number) for number in range(num_classes)]
    return build_objective(LossConfig(), EvaluationConfig(), np.zeros(1, dtype=np.int64), names, device)


def _kind_of(targets: NDArray[Any]) -> TargetKind:
    """What a user's loss is measured by: labels where every target of several is 0 or 1, else numbers."""
    if np.issubdtype(targets.dtype, np.integer):
        return "classes"
    return (
        "labels" if targets.ndim == 2 and targets.shape[1] > 1 and bool(np.isin(targets, (0, 1)).all()) else "values"
    )


def _check_targets(name: str, kind: TargetKind, targets: NDArray[Any], num_classes: int) -> None:
    is_integer = np.issubdtype(targets.dtype, np.integer)
    if kind == "classes" and not is_integer:
        if targets.ndim == 2 and targets.shape[1] == num_classes > 1:
            return
        raise ConfigError(
            f'loss.name = "{name}": needs class indices, but the data\'s targets are numbers {_sized(targets)}; '
            'choose "bce" for labels of 0 and 1, or "mse", "l1", "smooth_l1" or "huber" for numbers'
        )
    if kind != "classes" and is_integer:
        wanted = "labels of 0 and 1" if kind == "labels" else "numbers"
        raise ConfigError(
            f'loss.name = "{name}": needs {wanted} as float targets, but the data\'s targets are indices of '
            f'{num_classes} classes; choose "cross_entropy"'
        )
    if kind != "classes":
        bad = np.argwhere(~np.isfinite(targets) | ((targets < 0) | (targets > 1) if kind == "labels" else False))
        if len(bad):
            wanted = "between 0 and 1" if kind == "labels" else "a finite number"
            raise DataError(f"sample {bad[0][0]} has the target {targets[tuple(bad[0])]}; {name} needs {wanted}")


def _sized(targets: NDArray[Any]) -> str:
    return f"[{', '.join(map(str, ('N', *targets.shape[1:])))}]"


def _weights(loss: LossConfig, kind: TargetKind, targets: NDArray[Any], num_outputs: int) -> list[float] | None:
    """What each class counts, or for labels what a sample that has the label counts."""
    if loss.class_weights == "none":
        return None
    if isinstance(loss.class_weights, list):
        if len(loss.class_weights) != num_outputs:
            raise ConfigError(
                f"loss.class_weights: has {len(loss.class_weights)} numbers, but the data have {num_outputs} "
                f"{'classes' if kind == 'classes' else 'labels'}"
            )
        return loss.class_weights
    if kind == "labels":
        positive = np.asarray(targets, dtype=np.float64).sum(axis=0)
        return ((len(targets) - positive) / np.maximum(positive, 1)).tolist()
    indices = targets.argmax(axis=1) if targets.ndim == 2 else targets
    counts = np.bincount(indices.astype(np.int64), minlength=num_outputs)
    return (len(targets) / (num_outputs * np.maximum(counts, 1))).tolist()


def _try(objective: Objective, few: Tensor) -> None:
    """Call a user's loss once on outputs of zeros, before anything is written."""
    outputs = torch.zeros(len(few), objective.num_outputs, device=objective.device, requires_grad=True)
    try:
        loss: object = objective.loss(outputs, few)
    except Exception as error:
        raise_user_error(error, objective.name)
    check_scalar(loss, objective.name)
