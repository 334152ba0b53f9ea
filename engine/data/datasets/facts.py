"""Facts about a published data set, available without opening it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatasetFacts:
    """The facts that its publisher states.

    Attributes:
        name: what `data.dataset` says; of torchvision's, the class in torchvision.datasets.
        title: one line about it.
        classes: number of classes; None when the files decide.
        train_size: samples of the training split; None when the files decide.
        shape: (C, H, W) of a sample; None when the files decide, or images differ.
    """

    name: str
    title: str
    classes: int | None
    train_size: int | None
    shape: tuple[int, int, int] | None
