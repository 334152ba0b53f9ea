"""Multi-label metrics: every label is a yes or no of its own, counted on the device."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from .class_metrics import ClassCounts, class_scores, macro_average


def label_hits(outputs: Tensor, targets: Tensor, threshold: float = 0.5) -> Tensor:
    """How many labels of each sample are right, int64 [B].

    Args:
        outputs: [B, K] logits.
        targets: [B, K] probabilities of the labels; one of at least 0.5 is there.
        threshold: probability from which a label counts as predicted.
    """
    return ((outputs >= _logit(threshold)) == (targets >= 0.5)).sum(dim=1)


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
        predicted = outputs >= _logit(self._threshold)
        there = targets.reshape(predicted.shape) >= 0.5
        self._counts += torch.stack([predicted & there, there, predicted]).sum(dim=1)
        right = (predicted == there).sum(dim=1)
        self._right += torch.stack([right.sum(), (right == self._num_labels).sum()])
        self._samples += len(targets)

    def metrics(self) -> dict[str, float]:
        """See `Meter.metrics`."""
        if not self._samples:
            return dict.fromkeys(("accuracy", "exact_match", "micro_f1", "macro_f1"), math.nan)
        counts = self._class_counts()
        right, all_right = self._right.tolist()
        hits, positives = int(counts.hits.sum()), int(counts.support.sum() + counts.predicted.sum())
        return {
            "accuracy": right / (self._samples * self._num_labels),
            "exact_match": all_right / self._samples,
            "micro_f1": 2 * hits / max(positives, 1),
            "macro_f1": macro_average(class_scores(counts).f1, counts),
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
