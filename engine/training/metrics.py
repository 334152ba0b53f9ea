"""Classification metrics from a confusion matrix that is counted on the device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


class ConfusionMatrix:
    """Counts of (target, predicted class), added up on the device without synchronising with the host."""

    def __init__(self, num_classes: int, device: torch.device) -> None:
        self.num_classes = num_classes
        self._counts = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=device)

    def update(self, logits: Tensor, targets: Tensor) -> None:
        """Count a batch.

        Args:
            logits: [B, num_classes] scores of any float dtype.
            targets: [B] int64 class indices below num_classes.
        """
        cells = targets * self.num_classes + logits.argmax(dim=1)
        self._counts.index_add_(0, cells, torch.ones_like(cells))

    def counts(self) -> Tensor:
        """[num_classes, num_classes] int64 on the CPU; rows are targets, columns predictions."""
        return self._counts.view(self.num_classes, self.num_classes).cpu()


@dataclass(frozen=True)
class ClassScores:
    """Per-class figures, each a list over classes.

    A class that is neither a target nor predicted has 0 in all of them and is left out of the macro average.
    """

    precision: list[float]
    recall: list[float]
    f1: list[float]
    support: list[int]


def accuracy(counts: Tensor) -> float:
    """The share of samples on the diagonal of a confusion matrix, NaN when it is empty."""
    total = int(counts.sum())
    return int(counts.diagonal().sum()) / total if total else float("nan")


def macro_f1(counts: Tensor) -> float:
    """The mean of per-class F1 = 2·TP / (2·TP + FP + FN) over the classes that occur as target or prediction.

    The definition of scikit-learn's `f1_score(average="macro")`, NaN when the matrix is empty.
    """
    scores = class_scores(counts)
    predicted = counts.sum(dim=0).tolist()
    present = [f1 for f1, rows, columns in zip(scores.f1, scores.support, predicted, strict=True) if rows or columns]
    return sum(present) / len(present) if present else float("nan")


def class_scores(counts: Tensor) -> ClassScores:
    """Precision, recall, F1 and support of each class from a confusion matrix [C, C]."""
    hits = counts.diagonal().double()
    support, predicted = counts.sum(dim=1), counts.sum(dim=0)
    return ClassScores(
        precision=(hits / predicted.clamp(min=1)).tolist(),
        recall=(hits / support.clamp(min=1)).tolist(),
        f1=(2 * hits / (support + predicted).clamp(min=1)).tolist(),
        support=support.tolist(),
    )
