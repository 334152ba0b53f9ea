"""What the steps of an epoch predicted, in whole numbers: their sums are the same however the steps were grouped."""

from __future__ import annotations

import torch
from torch import Tensor

from ...metric_names import TargetKind
from .class_metrics import ClassCounts, class_averages
from .label_metrics import label_averages


class PredictionCounts:
    """Counts of steps on the device, for the metrics that an epoch can have without predicting anything again.

    They are those of `ClassCounts`, and for labels the samples with every label right behind them. What needs
    probabilities is left to evaluations: sums of floats would depend on how the steps were grouped.
    """

    def __init__(self, kind: TargetKind, num_outputs: int, device: torch.device) -> None:
        """Count nothing yet. Of numbers, nothing is ever counted."""
        self._kind = kind
        self._num_outputs = num_outputs
        cells = {"classes": 3 * num_outputs, "labels": 3 * num_outputs + 1, "values": 0}[kind]
        self._counts = torch.zeros(cells, dtype=torch.int64, device=device)

    def update(self, predicted: Tensor, wanted: Tensor) -> None:
        """Count samples as `Objective.compared` gives them, without waiting for the device."""
        if self._kind == "classes":
            ones = torch.ones_like(wanted)
            cells = torch.cat([wanted, wanted + self._num_outputs, predicted + 2 * self._num_outputs])
            self._counts.index_add_(0, cells, torch.cat([(predicted == wanted).long(), ones, ones]))
        elif self._kind == "labels":
            self._counts[:-1] += torch.stack([predicted & wanted, wanted, predicted]).sum(dim=1).view(-1)
            self._counts[-1] += (predicted == wanted).all(dim=1).sum()

    def take(self) -> Tensor:
        """What was counted since the last call, int64 on the CPU; waits for the device."""
        counts = self._counts.to("cpu", copy=True)
        self.clear()
        return counts

    def clear(self) -> None:
        """Forget what was counted."""
        self._counts.zero_()


def counted_metrics(kind: TargetKind, counts: Tensor, samples: int) -> dict[str, float]:
    """The metrics that follow from counts; none for numbers.

    Args:
        kind: kind of the targets.
        counts: sum of what `PredictionCounts.take` gave.
        samples: samples counted.
    """
    if kind == "classes":
        return class_averages(ClassCounts(*counts.view(3, -1)))
    if kind == "labels":
        return label_averages(ClassCounts(*counts[:-1].view(3, -1)), int(counts[-1]), samples)
    return {}
