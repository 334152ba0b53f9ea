"""Divide a split's samples into the batches of an epoch, and the batches into optimizer steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from ...config import RunConfig
from ...distributed.part import WHOLE, Part
from ...distributed.ranks import Ranks
from ...errors import ConfigError
from ..datasets.splits import Split
from .sampling import Deal, DealtBatches, EpochSampler, sequential_sampler, train_sampler

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

    def samples_of(self, batch: int) -> int:
        """Samples of a batch, by its number in the epoch."""
        return min(self.batch_size, self.num_samples - batch * self.batch_size)


def rank_part(config: RunConfig, ranks: Ranks) -> Part:
    """The part of every batch that a process computes.

    Raises:
        ConfigError: the number of processes does not divide the shards that are added up exactly.
    """
    shards = config.parallel.exact_shards or ranks.world
    if shards % ranks.world or (config.parallel.exact_shards and ranks.world & (ranks.world - 1)):
        raise ConfigError(
            f"parallel.exact_shards = {shards}: needs 1, 2, 4, … processes, at most {shards}, and there are "
            f"{ranks.world}"
        )
    return Part(ranks.rank, ranks.world, shards)


def train_batching(split: Split, config: RunConfig, device: torch.device = _CPU, part: Part = WHOLE) -> Batching:
    """The batches of the training split, or this process's part of each.

    Raises:
        ConfigError: as `train_sampler` does; a batch size that can't be divided among the shards.
    """
    loader = config.loader
    sampler = train_sampler(split, loader, config.seed)
    if part.shards > 1:
        check_divisible(loader.batch_size, part.shards)
    if part.is_whole:
        return Batching(sampler, loader.batch_size, loader.drop_last, device)
    dealt = replace(sampler, deal=Deal(part, loader.batch_size, loader.drop_last))
    return Batching(dealt, loader.batch_size // part.world, device=device)


def check_divisible(batch_size: int, shards: int) -> None:
    """Raise ConfigError when a full batch can't be cut into `shards` shards of one size."""
    below, rest = divmod(batch_size, shards)
    if rest:
        nearest = [str(count * shards) for count in (below, below + 1) if count]
        raise ConfigError(
            f"loader.batch_size = {batch_size}: is the batch of all processes together, and can't be divided into "
            f"{shards} parts of one size; nearest: {' or '.join(nearest)}"
        )


def evaluation_batching(split: Split, config: RunConfig, device: torch.device, part: Part = WHOLE) -> Batching:
    """The batches of a split that is measured: every sample once, in order.

    Of several processes, each has a block; with `parallel.exact_shards`, whole batches in turn.
    """
    size = config.loader.eval_batch_size or max(config.loader.batch_size, _LEAST_EVAL_BATCH)
    sampler = sequential_sampler(split)
    if not part.is_whole:
        deal = DealtBatches(part, size) if config.parallel.exact_shards else Deal(_blocks(part), max(1, len(split)))
        sampler = replace(sampler, deal=deal)
    return Batching(sampler, size, device=device)


def _blocks(part: Part) -> Part:
    return Part(part.rank, part.world, part.world)


def optimizer_steps(num_batches: int, config: RunConfig) -> int:
    """Optimizer steps in a number of batches; the last one may accumulate fewer than `training.accumulate`."""
    return -(-num_batches // config.training.accumulate)
