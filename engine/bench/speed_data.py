"""Images of random pixels, for measuring speed where no data set has to be there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


class RandomImages:
    """A data set of random pixels, the same every time.

    Attributes:
        targets: class index of each sample.
        classes: names.
    """

    def __init__(self, count: int, shape: Sequence[int], num_classes: int, seed: int) -> None:
        generator = np.random.default_rng(seed)
        self.images = generator.integers(0, 256, (count, *shape), dtype=np.uint8)
        self.targets = [number % num_classes for number in range(count)]
        self.classes = [f"class {number}" for number in range(num_classes)]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[npt.NDArray[np.uint8], int]:
        return self.images[index], self.targets[index]


def random_images(train: bool, count: int, shape: Sequence[int], num_classes: int) -> RandomImages:
    """`count` images of [height, width, channels] to train on, or an eighth of that to test on."""
    return RandomImages(count if train else count // 8, shape, num_classes, seed=int(train))
