"""The lines of `metrics.jsonl`: blocks of training steps or of what was logged, epochs, evaluations between them."""

from __future__ import annotations

from typing import Literal, TypedDict


class _Steps(TypedDict):
    kind: Literal["train"]
    epoch: int
    step: int
    t: float
    seconds: float
    samples: int
    loss: list[float]
    lr: float | list[float]


class TrainRecord(_Steps, total=False):
    """Consecutive training steps, written a few times a second. Every list has an entry per step.

    Attributes:
        epoch: the epoch they are in, from 1.
        step: optimizer steps done after the last of them.
        t: training time of the run after them, in seconds.
        seconds: what they took.
        samples: samples in all of them (runs of earlier versions: `images`).
        loss: mean loss of each.
        lr: learning rate of each; one number where it is the same for all.
        accuracy: share of right predictions of each; of runs whose targets are classes or labels.
        mae: mean absolute error of each; of runs whose targets are numbers.
    """

    accuracy: list[float]
    mae: list[float]


class _Rated(TypedDict):
    metric: str
    value: float


class Rated(_Rated, total=False):
    """By which metric an evaluation was compared with the best before, and the value that it had.

    Attributes:
        metric: name of the metric.
        value: its value.
        weights: whether that was measured with the weights themselves or with their average; missing where no average
            is kept.
    """

    weights: Literal["raw", "ema"]


class Measured(TypedDict, total=False):
    """What an evaluation adds to a record; nothing but an empty `validation` where none was done.

    Attributes:
        validation: metrics of the weights, among them "loss".
        ema: metrics of the average of the weights; missing where none is kept.
        is_best: whether it is the best so far.
        rated: by what that was judged.
    """

    validation: dict[str, float]
    ema: dict[str, float]
    is_best: bool
    rated: Rated


class EvaluationRecord(Measured):
    """An evaluation in the middle of an epoch.

    Attributes:
        epoch: the epoch it is in, from 1.
        step: optimizer steps done.
        t: training time of the run, in seconds.
    """

    kind: Literal["evaluation"]
    epoch: int
    step: int
    t: float


class EpochRecord(Measured):
    """An epoch, evaluated at its end or not.

    Attributes:
        kind: what tells it from other records.
        epoch: number of the epoch, from 1.
        step: optimizer steps done at its end.
        t: training time of the run, in seconds.
        seconds: time that the epoch took, in seconds.
        lr: learning rate of the next step.
        train: means over the epoch's samples: "loss" and the score of its steps; and what follows from the classes or
            labels that its steps predicted, of the metrics of an evaluation. Runs of earlier versions lack those.
        validation: metrics of the weights, among them "loss"; empty where no evaluation was done.
        ema: metrics of the average of the weights; missing where none is kept.
        is_best: whether it is the best so far.
        rated: by what that was judged.
    """

    kind: Literal["epoch"]
    epoch: int
    step: int
    t: float
    seconds: float
    lr: float
    train: dict[str, float]


ResultRecord = EpochRecord | EvaluationRecord
"""A record that may hold an evaluation."""


class LogRecord(TypedDict):
    """Consecutive entries of a recorded run that have the same names, written a few times a second.

    Attributes:
        step: step of each entry.
        t: time of the run after the last of them, in seconds.
        seconds: time since the previous record.
        values: by the name of its series, a value per entry.
    """

    kind: Literal["log"]
    step: list[int]
    t: float
    seconds: float
    values: dict[str, list[float]]


MetricsRecord = TrainRecord | EpochRecord | EvaluationRecord | LogRecord
"""A record that a run writes; `kind` says which."""
