"""Classification metrics: from a confusion matrix and a few sums that are counted on the device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...distributed.ranks import Ranks

# The matrix of more classes would take too much memory: only its margins and its diagonal are counted.
MAX_MATRIX_CLASSES = 2048


class ConfusionMatrix:
    """Counts of (target, predicted class), added up on the device without synchronizing with the host."""

    def __init__(self, num_classes: int, device: torch.device) -> None:
        self.num_classes = num_classes
        self.is_whole = num_classes <= MAX_MATRIX_CLASSES
        cells = num_classes * num_classes if self.is_whole else 3 * num_classes
        self._counts = torch.zeros(cells, dtype=torch.int64, device=device)

    def update(self, predicted: Tensor, targets: Tensor) -> None:
        """Count a batch.

        Args:
            predicted: [B] int64 class indices.
            targets: [B] int64 class indices.
        """
        if self.is_whole:
            cells = targets * self.num_classes + predicted
            self._counts.index_add_(0, cells, torch.ones_like(cells))
            return
        ones = torch.ones_like(targets)
        self._counts.index_add_(0, targets, ones)
        self._counts.index_add_(0, predicted + self.num_classes, ones)
        self._counts.index_add_(0, targets + 2 * self.num_classes, (targets == predicted).long())

    def add_up(self, ranks: Ranks) -> None:
        """Add what the other processes counted."""
        ranks.add_up([self._counts])

    def counts(self) -> Tensor:
        """[num_classes, num_classes] int64 on the CPU; rows are targets, columns predictions."""
        return self._counts.view(self.num_classes, self.num_classes).cpu()

    def class_counts(self) -> ClassCounts:
        """The matrix's diagonal and margins."""
        if self.is_whole:
            return ClassCounts.of(self.counts())
        support, predicted, hits = self._counts.view(3, self.num_classes).cpu()
        return ClassCounts(hits, support, predicted)


@dataclass(frozen=True)
class ClassCounts:
    """Samples of each class, each [C] int64 on the CPU.

    Attributes:
        hits: of the class and predicted to be.
        support: of the class.
        predicted: predicted to be of the class.
    """

    hits: Tensor
    support: Tensor
    predicted: Tensor

    @classmethod
    def of(cls, counts: Tensor) -> ClassCounts:
        """From a confusion matrix [C, C] int64, whose rows are targets."""
        return cls(counts.diagonal(), counts.sum(dim=1), counts.sum(dim=0))


@dataclass(frozen=True)
class ClassScores:
    """Per-class figures, each a list over classes.

    A class that is neither a target nor predicted has 0 in all of them and is left out of the macro averages.
    """

    precision: list[float]
    recall: list[float]
    f1: list[float]
    support: list[int]


def accuracy(counts: ClassCounts) -> float:
    """The share of right predictions, NaN when there is no sample."""
    total = int(counts.support.sum())
    return int(counts.hits.sum()) / total if total else float("nan")


def class_scores(counts: ClassCounts) -> ClassScores:
    """Precision, recall and F1 = 2·TP / (2·TP + FP + FN) of each class."""
    hits = counts.hits.double()
    return ClassScores(
        precision=(hits / counts.predicted.clamp(min=1)).tolist(),
        recall=(hits / counts.support.clamp(min=1)).tolist(),
        f1=(2 * hits / (counts.support + counts.predicted).clamp(min=1)).tolist(),
        support=counts.support.tolist(),
    )


def macro_average(values: list[float], counts: ClassCounts) -> float:
    """The mean of a figure over the classes that occur as target or prediction, NaN when none does.

    The definition of scikit-learn's `average="macro"`.
    """
    present = ((counts.support + counts.predicted) > 0).tolist()
    chosen = [value for value, occurs in zip(values, present, strict=True) if occurs]
    return sum(chosen) / len(chosen) if chosen else float("nan")


def weighted_average(values: list[float], counts: ClassCounts) -> float:
    """The mean of a figure over classes by their number of samples: scikit-learn's `average="weighted"`."""
    support = counts.support.tolist()
    total = sum(support)
    return (
        sum(value * weight for value, weight in zip(values, support, strict=True)) / total if total else float("nan")
    )


def class_averages(counts: ClassCounts) -> dict[str, float]:
    """The averages over classes by their names as metrics; NaN when there is no sample."""
    scores = class_scores(counts)
    return {
        "macro_f1": macro_average(scores.f1, counts),
        "weighted_f1": weighted_average(scores.f1, counts),
        "macro_precision": macro_average(scores.precision, counts),
        "macro_recall": macro_average(scores.recall, counts),
    }


class ClassMeter:
    """Everything that is measured of a classifier. See `Meter`.

    Calibration is that of the likeliest class: samples are sorted by its probability into intervals of equal width,
    and the error is the mean distance between probability and accuracy, weighted by samples (Guo et al.: On
    Calibration of Modern Neural Networks, 2017, equation 3).
    """

    def __init__(self, num_classes: int, device: torch.device, *, top_k: int, bins: int) -> None:
        self._matrix = ConfusionMatrix(num_classes, device)
        self._top_k = min(top_k, num_classes)
        self._bins = bins
        # Per interval of confidence: samples, sum of confidence, right predictions.
        self._calibration = torch.zeros(bins, 3, dtype=torch.float64, device=device)
        # Sum of the true classes' probabilities, samples whose class is among the likeliest k.
        self._sums = torch.zeros(2, dtype=torch.float64, device=device)

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        """Count logits [B, C] and class indices [B], or probabilities of the classes [B, C]."""
        if targets.is_floating_point():
            targets = targets.argmax(dim=1)
        probabilities = outputs.float().softmax(dim=1)
        predicted = outputs.argmax(dim=1)
        self._matrix.update(predicted, targets)
        confidence = probabilities.gather(1, predicted[:, None])[:, 0].double()
        right = (predicted == targets).double()
        # A NaN confidence belongs to no interval; the loss shows it.
        interval = (confidence.nan_to_num(0) * self._bins).long().clamp(0, self._bins - 1)
        self._calibration.index_add_(0, interval, torch.stack([torch.ones_like(right), confidence, right], dim=1))
        likelihood = probabilities.gather(1, targets[:, None]).sum(dtype=torch.float64)
        best = outputs.topk(self._top_k, dim=1).indices
        self._sums += torch.stack([likelihood, (best == targets[:, None]).sum().double()])

    def add_up(self, ranks: Ranks) -> None:
        """See `Meter.add_up`."""
        self._matrix.add_up(ranks)
        ranks.add_up([self._calibration, self._sums])

    def metrics(self) -> dict[str, float]:
        """See `Meter.metrics`."""
        counts = self._matrix.class_counts()
        total = int(counts.support.sum())
        likelihood, found = self._sums.tolist()
        return {
            "accuracy": accuracy(counts),
            "top_k": found / total if total else float("nan"),
            **class_averages(counts),
            "calibration_error": self._calibration_error(),
            "likelihood": likelihood / total if total else float("nan"),
        }

    def tables(self) -> dict[str, Any]:
        """`per_class`: lists over classes; `confusion`: the cells that are not 0, as [target, predicted, samples]
        (none for more than 2,048 classes); `calibration`: lists over intervals of confidence.
        """
        scores = class_scores(self._matrix.class_counts())
        samples, confidence, right = self._calibration.T.cpu()
        occupied = samples.clamp(min=1)
        tables: dict[str, Any] = {
            "per_class": {
                "precision": scores.precision,
                "recall": scores.recall,
                "f1": scores.f1,
                "support": scores.support,
            },
            "calibration": {
                "samples": samples.long().tolist(),
                "confidence": (confidence / occupied).tolist(),
                "accuracy": (right / occupied).tolist(),
            },
        }
        if self._matrix.is_whole:
            counts = self._matrix.counts()
            cells = counts.nonzero()
            tables["confusion"] = torch.cat([cells, counts[cells[:, 0], cells[:, 1]][:, None]], dim=1).tolist()
        return tables

    def _calibration_error(self) -> float:
        samples, confidence, right = self._calibration.T.cpu()
        total = float(samples.sum())
        return float((confidence - right).abs().sum()) / total if total else float("nan")
