"""Divide a split's samples into the batches of an epoch, and the batches into optimizer steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...config import RunConfig
from ..datasets.splits import Split
from .sampling import EpochSampler, sequential_sampler, train_sampler

_LEAST_EVAL_BATCH = 256
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Batching:
    """Arguments of every loader: the kind of its samples and the device of its batches.

    Attributes:
        sampler: samples of an epoch, in order.
        batch_size: samples per batch.
        drop_last: leave out a last batch that is not full.
        device: where batches go.
    """

    sampler: EpochSampler
    batch_size: int
    drop_last: bool = False
    device: torch.device = _CPU

    @property
    def num_samples(self) -> int:
        """Samples of an epoch that this process takes; those of a last batch that is left out are counted too."""
        return self.sampler.length

    @property
    def num_batches(self) -> int:
        """Batches per epoch."""
        full, rest = divmod(self.num_samples, self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)


def train_batching(split: Split, config: RunConfig, device: torch.device = _CPU) -> Batching:
    """The batches of the training split. Raises ConfigError as `train_sampler` does."""
    loader = config.loader
    return Batching(train_sampler(split, loader, config.seed), loader.batch_size, loader.drop_last, device)


def evaluation_batching(split: Split, config: RunConfig, device: torch.device) -> Batching:
    """The batches of a split that is measured: every sample once, in order."""
    size = config.loader.eval_batch_size or max(config.loader.batch_size, _LEAST_EVAL_BATCH)
    return Batching(sequential_sampler(split), size, device=device)


def optimizer_steps(num_batches: int, config: RunConfig) -> int:
    """Optimizer steps in a number of batches; the last one may accumulate fewer than `training.accumulate`."""
    return -(-num_batches // config.training.accumulate)
