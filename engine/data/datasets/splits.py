"""A split of a data set, the arrays that most of them are, and the seeded stratified split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class SampleDataset(Protocol):
    """A map-style data set: `dataset[i]` is (input, target).

    An image is a PIL image, a uint8 array [H, W] or [H, W, C], or a tensor [C, H, W]; any other input reaches the
    model as it is. A target is a class index, a number, a vector of numbers, or what a collate_fn understands.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[Any, Any]: ...


@dataclass(frozen=True)
class ArrayDataset:
    """Images of one size that are in memory already.

    Attributes:
        images: uint8 [N, H, W] or [N, H, W, C].
        targets: int64 [N] class indices, or float32 [N] or [N, K] values.
    """

    images: NDArray[np.uint8]
    targets: NDArray[np.int64] | NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int, /) -> tuple[NDArray[np.uint8], Any]:
        target = self.targets[index]
        return self.images[index], target if target.ndim else target.item()


class LabeledDataset:
    """A data set whose labels were read without decoding; its samples are (image, class index)."""

    def __init__(self, dataset: Any, targets: NDArray[np.int64]) -> None:
        self._dataset = dataset
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int, /) -> tuple[Any, int]:
        return self._dataset[index][0], int(self.targets[index])


Collate = Callable[[list[tuple[Any, Any]]], Any]
"""Function that turns a list of samples into a batch (inputs, targets)."""


@dataclass(frozen=True)
class DatasetParts:
    """A data set as its reader found it, before a validation share is held out.

    Attributes:
        train: the training part.
        validation: a validation part of its own, where the data set comes with one.
        test: the test part, where there is one.
        classes: class names; None where the data set has none.
        notes: remarks for the user about how it was found.
        collate: makes batches of its samples; None for stacking them.
    """

    train: SampleDataset
    validation: SampleDataset | None
    test: SampleDataset | None
    classes: list[str] | None
    notes: list[str] = field(default_factory=list)
    collate: Collate | None = None


@dataclass(frozen=True)
class Split:
    """A part of a data set: training, validation or test.

    Attributes:
        dataset: where the samples come from.
        indices: int64 [n], which of the data set's samples belong to the split; None for all of them.
        targets: int64 [n], class index of each sample of the split in its order, or float32 [n] or [n, K] values;
            None if only reading a sample shows it.
        name: "train", "validation" or "test".
        is_image: whether inputs are images; any others reach the model as they are.
        collate: makes batches of samples; None for stacking them.
        targets_are_listed: whether `targets` is a list that the data set keeps, which every sample read is compared
            with.
    """

    dataset: SampleDataset
    indices: NDArray[np.int64] | None
    targets: NDArray[np.int64] | NDArray[np.float32] | None
    name: str
    is_image: bool = True
    collate: Collate | None = None
    targets_are_listed: bool = False

    def __len__(self) -> int:
        return len(self.dataset) if self.indices is None else len(self.indices)

    def dataset_index(self, position: int) -> int:
        """Index in `dataset` of the split's sample number `position`."""
        return position if self.indices is None else int(self.indices[position])


def stratified_split(
    targets: NDArray[np.int64], share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split indices in two so that every class has about the same share in the second part.

    A class of at least two samples has at least one in each part; a class of one stays in the first. Depends on
    the targets, the share and the seed only.

    Args:
        targets: int64 [n] class indices.
        share: fraction of samples in the second part, between 0 and 1.
        seed: of the choice within each class.

    Returns:
        Two sorted int64 arrays of indices into `targets`.
    """
    generator = np.random.Generator(np.random.PCG64([seed, 0x5EED]))
    held_out = np.zeros(len(targets), dtype=bool)
    for class_index in np.unique(targets):
        members = np.flatnonzero(targets == class_index)
        if len(members) < 2:
            continue
        count = min(max(round(share * len(members)), 1), len(members) - 1)
        held_out[generator.permutation(members)[:count]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def random_split(count: int, share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split `count` samples in two at random, for targets other than classes; each part has at least one.

    Returns:
        Two sorted int64 arrays of indices; the second has about `share` of them, or none where there is one sample.
    """
    generator = np.random.Generator(np.random.PCG64([seed, 0x5EED]))
    order = generator.permutation(count)
    held_out = min(max(round(share * count), 1), count - 1)
    return np.sort(order[held_out:]), np.sort(order[:held_out])


def class_names(targets: NDArray[np.int64], names: Sequence[str] | None) -> list[str]:
    """The given names, or the class indices as text where the data set has none."""
    if names is not None:
        return [str(name) for name in names]
    return [str(index) for index in range(int(targets.max(initial=-1)) + 1)]
