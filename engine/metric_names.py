"""Metrics of an evaluation by name, for configs, records and tables. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from .errors import ConfigError

TargetKind = Literal["classes", "labels", "values"]
"""What a sample's target is: one class of many, any number of labels, or numbers."""

AUTO = "auto"


@dataclass(frozen=True)
class Metric:
    """One figure of an evaluation.

    Attributes:
        name: its key in records and configs.
        title: its heading in a table, at most 11 characters; of a metric of the user's own its whole name.
        description: definition, in one line.
        larger_is_better: whether the best epoch is the one where it is largest.
        is_share: whether it lies between 0 and 1 and reads best in percent.
    """

    name: str
    title: str
    description: str
    larger_is_better: bool
    is_share: bool = False


_ALL = (
    Metric("loss", "loss", "mean loss, without label smoothing and class weights", False),
    Metric("accuracy", "accuracy", "fraction of correct predictions", True, True),
    Metric("top_k", "top-k", "fraction of samples whose class is among the evaluation.top_k most likely", True, True),
    Metric("macro_f1", "macro F1", "mean F1 of the classes that occur", True, True),
    Metric("micro_f1", "micro F1", "F1 over all labels together", True, True),
    Metric("weighted_f1", "weighted F1", "mean F1 of the classes, weighted by their number of samples", True, True),
    Metric("macro_precision", "precision", "mean precision of the classes that occur", True, True),
    Metric("macro_recall", "recall", "mean recall of the classes that occur", True, True),
    Metric("calibration_error", "calib. err", "expected calibration error", False, True),
    Metric("likelihood", "likelihood", "mean predicted probability of the true class", True, True),
    Metric("exact_match", "exact", "fraction of samples with every label correct", True, True),
    Metric("mae", "MAE", "mean absolute error", False),
    Metric("rmse", "RMSE", "root of the mean squared error", False),
    Metric("r2", "R²", "explained fraction of the targets' variance, mean over outputs", True),
)

METRICS = {metric.name: metric for metric in _ALL}

MEASURED: dict[TargetKind, tuple[str, ...]] = {
    "classes": (
        "loss",
        "accuracy",
        "top_k",
        "macro_f1",
        "weighted_f1",
        "macro_precision",
        "macro_recall",
        "calibration_error",
        "likelihood",
    ),
    "labels": ("loss", "accuracy", "exact_match", "micro_f1", "macro_f1"),
    "values": ("loss", "mae", "rmse", "r2"),
}
"""The metrics of an evaluation, the most telling first."""

TrainingScore = Literal["accuracy", "mae"]
TRAINING_SCORE: dict[TargetKind, TrainingScore] = {"classes": "accuracy", "labels": "accuracy", "values": "mae"}
"""What is measured of every training step beside its loss."""


BUILT_IN = (AUTO, *METRICS)
"""What a setting that names a metric may say, beside the metrics of `evaluation.metrics`."""


def metric(name: str) -> Metric:
    """A metric by its name. One of the user's own, or of a later version's run, is shown by its name and reads like a
    loss; which way it is better, the run knows."""
    return METRICS.get(name, Metric(name, name, "", larger_is_better=False))


def metric_key(name: str) -> str:
    """What records call a metric that a config names without a key: "metrics.py:MacroF1" is macro_f1.

    Args:
        name: path/to/file.py:Name, or a class of torchmetrics.
    """
    last = re.split(r"[.:]", name)[-1]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", last)
    return words.lower()


def is_measured(name: str, keys: Collection[str]) -> bool:
    """Whether `name` is "auto", a metric of torchdeck's own, or of one with these keys: KEY, or KEY.FIGURE."""
    return name in BUILT_IN or name.partition(".")[0] in keys


def decisive_metric(name: str, kind: TargetKind, key: str, own: Collection[str] = ()) -> str:
    """The metric that `name` means for targets of `kind`: "auto" is the accuracy, or the loss where there is none.

    Args:
        name: name in the config.
        kind: kind of the targets.
        key: config key, for the message.
        own: what the metrics of `evaluation.metrics` measure.

    Raises:
        ConfigError: it is not measured for such targets.
    """
    if name == AUTO:
        return "loss" if kind == "values" else "accuracy"
    if name not in MEASURED[kind] and name not in own:
        measured = ", ".join((*MEASURED[kind], *own))
        raise ConfigError(f"{key} = '{name}': not available for targets that are {kind}; available: {measured}")
    return name


def watched_by_schedule(name: str) -> str:
    """The metric that ReduceLROnPlateau watches by `schedule.metric`: "auto" is the loss, the usual one."""
    return "loss" if name == AUTO else name
