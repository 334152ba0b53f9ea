"""Which samples an epoch takes, in which order: a pure function of (seed, epoch), so a run goes on anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.config import LoaderConfig
from engine.data.batched.random_keys import combine, epoch_order
from engine.data.datasets.splits import Split
from engine.data.datasets.targets import kind_of
from engine.data.loading.own_order import sample_weights
from engine.errors import ConfigError

Kind = Literal["shuffled", "sequential", "balanced", "weighted", "replacement"]

_STREAM = 0x5A3


@dataclass(frozen=True)
class EpochOrder:
    """The samples of one epoch.

    Attributes:
        samples: int64 [n], positions in the split.
        draws: int64 [n], what each one's random numbers follow from: its position, and for a sample that comes again
            another number for each time, so that it is not transformed alike.
    """

    samples: Tensor
    draws: Tensor


@dataclass(frozen=True)
class EpochSampler:
    """How epochs are drawn from a split.

    Attributes:
        kind: "shuffled" and "sequential" take each sample once; "replacement" draws from all samples, "balanced"
            from all classes alike and then from the samples of the class, as torch's WeightedRandomSampler does with
            weights of 1 / (samples of the class); "weighted" draws by the weights given.
        count: samples in the split.
        length: samples in an epoch.
        seed: of the run.
        targets: int64 [count], for "balanced" only.
        weights: float64 [count], for "weighted" only: chances, up to a factor.
    """

    kind: Kind
    count: int
    length: int
    seed: int
    targets: NDArray[np.int64] | None = None
    weights: NDArray[np.float64] | None = None

    def order(self, epoch: int) -> EpochOrder | None:
        """The samples of an epoch; None for all of them as they come."""
        if self.kind == "sequential":
            return None
        if self.kind == "shuffled":
            samples = epoch_order(self.seed, epoch, self.count)
            return EpochOrder(samples, samples)
        generator = torch.Generator().manual_seed(combine(self.seed, epoch, _STREAM) >> 1)
        if self.kind == "replacement":
            samples = torch.randint(self.count, (self.length,), generator=generator)
        elif self.kind == "weighted":
            samples = self._weighted(generator)
        else:
            samples = self._balanced(generator)
        return EpochOrder(samples, samples + self.count * times_before(samples))

    def rank_order(self, epoch: int, rank: int, world: int) -> EpochOrder:
        """The samples of an epoch that one of several processes takes, each of them training on its own.

        A rank takes every `world`-th sample of the order, from its own number on, as torch's DistributedSampler does:
        the ranks' n-th batches of b samples together are the n-th batch of b · world samples of one process. So that
        all have as many, the order is filled up from its own beginning; what comes again there gets other random
        numbers.

        Args:
            epoch: of the run.
            rank: of the process, from 0.
            world: how many processes there are.

        Returns:
            ceil(length / world) samples.

        Raises:
            ValueError: a rank outside of 0 … world - 1.
        """
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} of {world} processes: must be from 0 to {world - 1}")
        order = self.order(epoch)
        samples = torch.arange(self.length) if order is None else order.samples
        filled = samples[torch.arange(-(-self.length // world) * world) % self.length]
        draws = filled + self.count * times_before(filled)
        return EpochOrder(filled[rank::world], draws[rank::world])

    def _balanced(self, generator: torch.Generator) -> Tensor:
        targets = torch.from_numpy(np.array(self.targets))
        by_class = targets.argsort(stable=True)
        _, sizes = targets.unique(return_counts=True)
        first = sizes.cumsum(0) - sizes
        chosen = torch.randint(len(sizes), (self.length,), generator=generator)
        place = torch.rand(self.length, dtype=torch.float64, generator=generator)
        return by_class[first[chosen] + (place * sizes[chosen]).long()]

    def _weighted(self, generator: torch.Generator) -> Tensor:
        # torch.multinomial ends at 2^24 samples.
        assert self.weights is not None
        ends = torch.from_numpy(np.cumsum(self.weights))
        place = torch.rand(self.length, dtype=torch.float64, generator=generator) * ends[-1]
        last = int(np.flatnonzero(self.weights)[-1])
        return torch.searchsorted(ends, place, right=True).clamp(max=last)


def train_sampler(split: Split, config: LoaderConfig, seed: int) -> EpochSampler:
    """The sampler that `[loader]` asks for.

    Raises:
        ConfigError: a balanced sampler for a split whose labels are not known without reading it, or weights that
            are not one for each sample.
    """
    kind: Kind = config.sampler if config.sampler != "auto" else ("shuffled" if config.shuffle else "sequential")
    targets = split.targets if kind == "balanced" else None
    if kind == "balanced" and targets is None:
        raise ConfigError('loader.sampler = "balanced": the data set has no list of targets to balance')
    if targets is not None and kind_of(targets) != "classes":
        raise ConfigError('loader.sampler = "balanced": the targets are numbers, and only classes can be balanced')
    classes = None if targets is None else targets.astype(np.int64)
    weights = sample_weights(config.weights, split) if kind == "weighted" else None
    return EpochSampler(kind, len(split), config.num_samples or len(split), seed, classes, weights)


def sequential_sampler(split: Split) -> EpochSampler:
    """Every sample once, as they come."""
    return EpochSampler("sequential", len(split), len(split), 0)


def times_before(samples: Tensor) -> Tensor:
    """How often each sample came before in the epoch, int64 [n]."""
    ordered, order = samples.sort(stable=True)
    positions = torch.arange(len(samples))
    is_first = torch.ones_like(ordered, dtype=torch.bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    start = torch.where(is_first, positions, 0).cummax(0).values
    return torch.empty_like(samples).scatter_(0, order, positions - start)
