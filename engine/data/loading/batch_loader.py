"""Protocol of every batch loader, and the loaders of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from ...shapes import Shape


class BatchLoader(Protocol):
    """A split as batches.

    Attributes:
        num_samples: samples in an epoch.
        num_batches: batches in an epoch.
        batch_size: samples in every batch but perhaps the last.
    """

    num_samples: int
    num_batches: int
    batch_size: int

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, Any]]:
        """Inputs and targets on the device, of epoch `epoch` from batch `start` on.

        Images are float32 [B, C, H, W]; other inputs are tensors, or tuples or dicts of tensors. Targets are class
        indices int64 [B], or values float32 [B] or [B, K].
        After MixUp or CutMix, targets are shares of the classes, float32 [B, classes].
        A batch is a pure function of (seed, epoch, its samples), whatever was asked for before.
        """
        ...


@dataclass(frozen=True)
class TrainingData:
    """Everything a Trainer needs to know of the data.

    Attributes:
        train: shuffled, with the train transforms.
        validation: loader of the validation split, in order, with the eval transforms.
        input_shape: shape of a sample after the eval transforms; (C, H, W) for images.
        classes: names by class index.
        storage: storage of the pixels, as text.
        reason: calculation behind that choice for the training split, as text.
        notes: what the user should know: why a slow tier was taken, where data were found.
        fingerprint: hash of samples, labels and split.
    """

    train: BatchLoader
    validation: BatchLoader
    input_shape: Shape
    classes: list[str]
    storage: str
    notes: list[str] = field(default_factory=list)
    fingerprint: str = ""
    reason: str = ""
