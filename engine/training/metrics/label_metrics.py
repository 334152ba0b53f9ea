"""Multi-label metrics: every label is a yes or no of its own, counted on the device."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from ...distributed.ranks import Ranks
from .class_metrics import ClassCounts, class_scores, macro_average


def compared_labels(outputs: Tensor, targets: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Which labels are predicted to be there, and which are, bool [B, K] each.

    Args:
        outputs: [B, K] logits.
        targets: [B, K] probabilities of the labels; one of at least 0.5 is there.
        threshold: probability from which a label counts as predicted.
    """
    return outputs >= _logit(threshold), targets >= 0.5


def label_averages(counts: ClassCounts, all_right: int, samples: int) -> dict[str, float]:
    """The figures that follow from counts of each label, by their names as metrics.

    Args:
        counts: samples of each label.
        all_right: samples with every label right.
        samples: samples in all, at least 1.
    """
    hits, positives = int(counts.hits.sum()), int(counts.support.sum() + counts.predicted.sum())
    return {
        "exact_match": all_right / samples,
        "micro_f1": 2 * hits / max(positives, 1),
        "macro_f1": macro_average(class_scores(counts).f1, counts),
    }


class LabelMeter:
    """Everything that is measured of a multi-label classifier. See `Meter`."""

    def __init__(self, num_labels: int, device: torch.device, *, threshold: float) -> None:
        self._num_labels = num_labels
        self._threshold = threshold
        # Rows: labels predicted rightly to be there, being there, predicted to be there.
        self._counts = torch.zeros(3, num_labels, dtype=torch.int64, device=device)
        # Right labels in all, samples with every label right.
        self._right = torch.zeros(2, dtype=torch.int64, device=device)
        self._samples = 0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count logits [B, K] and labels [B, K]."""
        predicted, there = compared_labels(outputs, targets.reshape(outputs.shape), self._threshold)
        self._counts += torch.stack([predicted & there, there, predicted]).sum(dim=1)
        right = (predicted == there).sum(dim=1)
        self._right += torch.stack([right.sum(), (right == self._num_labels).sum()])
        self._samples += len(targets)

    def add_up(self, ranks: Ranks) -> None:
        """See `Meter.add_up`."""
        samples = torch.tensor([self._samples], device=self._counts.device)
        ranks.add_up([self._counts, self._right, samples])
        self._samples = int(samples)

    def metrics(self) -> dict[str, float]:
        """See `Meter.metrics`."""
        if not self._samples:
            return dict.fromkeys(("accuracy", "exact_match", "micro_f1", "macro_f1"), math.nan)
        right, all_right = self._right.tolist()
        return {
            "accuracy": right / (self._samples * self._num_labels),
            **label_averages(self._class_counts(), all_right, self._samples),
        }

    def tables(self) -> dict[str, Any]:
        """`per_class`: precision, recall, F1 and number of samples of each label."""
        scores = class_scores(self._class_counts())
        return {
            "per_class": {
                "precision": scores.precision,
                "recall": scores.recall,
                "f1": scores.f1,
                "support": scores.support,
            }
        }

    def _class_counts(self) -> ClassCounts:
        return ClassCounts(*self._counts.cpu())


def _logit(probability: float) -> float:
    return math.log(probability / (1 - probability))
