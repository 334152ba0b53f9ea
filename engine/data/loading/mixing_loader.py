"""A loader whose batches are mixed with themselves: MixUp and CutMix at the end of every other step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from ...errors import ConfigError
from ..transforms.mixing import MixStep, class_shares, draw_mixes
from .batch_loader import BatchLoader


class MixingLoader:
    """A BatchLoader that mixes the batches of another one, on whatever device they are."""

    def __init__(self, loader: BatchLoader, steps: Sequence[MixStep], *, seed: int, num_classes: int) -> None:
        self.num_samples, self.num_batches = loader.num_samples, loader.num_batches
        self.batch_size = loader.batch_size
        self._loader, self._steps, self._seed, self._num_classes = loader, steps, seed, num_classes

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of an epoch from number `start` on.

        Yields:
            Inputs float32 [B, C, H, W] and targets float32 [B, classes], shares that sum to 1, on the device.

        Raises:
            ConfigError: inputs without height and width, targets other than class indices.
        """
        for number, (inputs, targets) in enumerate(self._loader.batches(epoch, start), start):
            _check_batch(inputs, targets)
            shares = class_shares(targets, self._num_classes)
            for mix in draw_mixes(self._steps, self._seed, epoch, number, (inputs.shape[-2], inputs.shape[-1])):
                inputs, shares = mix.of_inputs(inputs), mix.of_targets(shares)
            yield inputs, shares


def _check_batch(inputs: Any, targets: Any) -> None:
    if not isinstance(inputs, Tensor) or inputs.ndim != 4 or not inputs.is_floating_point():
        raise ConfigError("MixUp and CutMix need batches of images, float [B, C, H, W], but the inputs are not")
    if not isinstance(targets, Tensor) or targets.ndim != 1:
        raise ConfigError("MixUp and CutMix need class indices, int64 [B], but the targets are not")
