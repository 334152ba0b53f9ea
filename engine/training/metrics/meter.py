"""Meters of an evaluation: sums on the device, batch by batch, and the metrics at its end.

`new_meter` gives the meter that fits the targets; `update` never waits for the device, `result` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from ...distributed.ranks import Ranks
from ...metric_names import TargetKind
from .class_metrics import ClassMeter
from .label_metrics import LabelMeter
from .own_metrics import OwnMetrics
from .value_metrics import ValueMeter


@dataclass(frozen=True)
class MetricOptions:
    """Options of the metrics.

    Attributes:
        top_k: a sample counts as correct if its class is among the k highest scores.
        bins: intervals of confidence that calibration is measured in.
        threshold: probability from which a label counts as predicted.
    """

    top_k: int = 5
    bins: int = 15
    threshold: float = 0.5


class Meter(Protocol):
    """Adds up what a model predicts for a split."""

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch.

        Args:
            outputs: [B, K] of any float dtype, on the meter's device: logits, or predicted values.
            targets: [B] class indices or [B, K] floats.
        """
        ...

    def add_up(self, ranks: Ranks) -> None:
        """Add what the meters of the other processes counted. All of them call it."""
        ...

    def metrics(self) -> dict[str, float]:
        """The figures by name, in the order of `MEASURED`, without the loss. Waits for the device."""
        ...

    def tables(self) -> dict[str, Any]:
        """Results other than single numbers, as plain values: per class, confusion matrix, calibration bins."""
        ...


class MeterWithOwn:
    """A meter, and the metrics of `evaluation.metrics` behind its own."""

    def __init__(self, meter: Meter, own: OwnMetrics) -> None:
        """`own` counts from its last reset on."""
        self._meter = meter
        self._own = own

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch. Metrics of the user's own may wait for the device."""
        self._meter.update(outputs, targets)
        self._own.update(outputs, targets)

    def add_up(self, ranks: Ranks) -> None:
        """See `Meter.add_up`."""
        self._meter.add_up(ranks)
        self._own.add_up(ranks)

    def metrics(self) -> dict[str, float]:
        """See `Meter.metrics`."""
        return {**self._meter.metrics(), **self._own.compute()}

    def tables(self) -> dict[str, Any]:
        """See `Meter.tables`."""
        return self._meter.tables()


def new_meter(kind: TargetKind, num_outputs: int, device: torch.device, options: MetricOptions) -> Meter:
    """A meter for targets of a kind.

    Args:
        kind: kind of the targets.
        num_outputs: classes, labels, or values per sample.
        device: device of outputs and targets.
        options: options of the metrics.
    """
    if kind == "classes":
        return ClassMeter(num_outputs, device, top_k=options.top_k, bins=options.bins)
    if kind == "labels":
        return LabelMeter(num_outputs, device, threshold=options.threshold)
    return ValueMeter(num_outputs, device)
