"""As many batches on every process: one without a sample of the last batch has an empty batch there."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ...inputs import Inputs, map_tensors
from .batch_loader import BatchLoader


class EvenBatches:
    """A BatchLoader over one process's part, whose n-th batch is its part of the n-th batch of all processes."""

    def __init__(self, loader: BatchLoader, num_batches: int) -> None:
        """Fill up.

        Args:
            loader: this process's part; at most one batch short.
            num_batches: batches that every process has.
        """
        self.num_samples, self.batch_size = loader.num_samples, loader.batch_size
        self.num_batches = num_batches
        self._loader = loader

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Inputs, Tensor]]:
        """The batches of an epoch from number `start` on; the last one may have no samples."""
        yielded = start
        newest: tuple[Inputs, Tensor] | None = None
        for newest in self._loader.batches(epoch, start):
            yield newest
            yielded += 1
        if yielded < self.num_batches:
            # The shape of a batch without its samples; of a process that has none at all, nothing is known.
            nothing = torch.empty(0)
            inputs, targets = newest or next(iter(self._loader.batches(epoch)), (nothing, nothing))
            yield map_tensors(lambda tensor: tensor[:0], inputs), targets[:0]
