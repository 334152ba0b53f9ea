"""Sample order of an epoch: a pure function of (seed, epoch), so a run can resume at any step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...config import LoaderConfig
from ...distributed.part import Part
from ...errors import ConfigError
from ..datasets.splits import Split
from ..datasets.targets import kind_of
from ..random_keys import combine, epoch_order
from .user_order import sample_weights

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
class Deal:
    """How one process takes its part of every batch of an epoch.

    Attributes:
        part: its part of a batch.
        batch_size: samples of a batch of all processes together.
        drop_last: leave out a last batch that is not full.
    """

    part: Part
    batch_size: int
    drop_last: bool = False

    def positions(self, total: int) -> Tensor:
        """Places in an order of `total` samples that are this process's, int64."""
        full, rest = divmod(total, self.batch_size)
        rows = self.part.rows(self.batch_size)
        whole = torch.arange(full)[:, None] * self.batch_size + torch.arange(rows.start, rows.stop)
        last = self.part.rows(0 if self.drop_last else rest)
        return torch.cat([whole.flatten(), full * self.batch_size + torch.arange(last.start, last.stop)])


@dataclass(frozen=True)
class DealtBatches:
    """How one process takes whole batches of a split in turn, each of which is then the same however many there are.

    Attributes:
        part: this process among the others.
        batch_size: samples of a batch.
    """

    part: Part
    batch_size: int

    def positions(self, total: int) -> Tensor:
        """Places in an order of `total` samples that are this process's, int64."""
        places = torch.arange(total)
        return places[(places // self.batch_size) % self.part.world == self.part.rank]


@dataclass(frozen=True)
class EpochSampler:
    """Sampler that draws epochs from a split.

    Attributes:
        kind: "shuffled" and "sequential" take each sample once; "replacement" draws from all samples, "balanced"
            from all classes alike and then from the samples of the class, as torch's WeightedRandomSampler does with
            weights of 1 / (samples of the class); "weighted" draws by the weights given.
        count: samples in the split.
        total: samples in an epoch, of all processes together.
        seed: seed of the run.
        targets: int64 [count], for "balanced" only.
        weights: float64 [count], for "weighted" only: chances, up to a factor.
        deal: how this process takes its part of it; None for all of it.
    """

    kind: Kind
    count: int
    total: int
    seed: int
    targets: NDArray[np.int64] | None = None
    weights: NDArray[np.float64] | None = None
    deal: Deal | DealtBatches | None = None

    @property
    def length(self) -> int:
        """Samples that this process takes in an epoch."""
        return self.total if self.deal is None else len(self.deal.positions(self.total))

    def order(self, epoch: int) -> EpochOrder | None:
        """The samples that this process takes in an epoch; None for all of the split as they come."""
        order = self._whole_order(epoch)
        if self.deal is None:
            return order
        own = self.deal.positions(self.total)
        return EpochOrder(own, own) if order is None else EpochOrder(order.samples[own], order.draws[own])

    def _whole_order(self, epoch: int) -> EpochOrder | None:
        if self.kind == "sequential":
            return None
        if self.kind == "shuffled":
            samples = epoch_order(self.seed, epoch, self.count)
            return EpochOrder(samples, samples)
        generator = torch.Generator().manual_seed(combine(self.seed, epoch, _STREAM) >> 1)
        if self.kind == "replacement":
            samples = torch.randint(self.count, (self.total,), generator=generator)
        elif self.kind == "weighted":
            samples = self._weighted(generator)
        else:
            samples = self._balanced(generator)
        return EpochOrder(samples, samples + self.count * times_before(samples))

    def _balanced(self, generator: torch.Generator) -> Tensor:
        targets = torch.from_numpy(np.array(self.targets))
        by_class = targets.argsort(stable=True)
        _, sizes = targets.unique(return_counts=True)
        first = sizes.cumsum(0) - sizes
        chosen = torch.randint(len(sizes), (self.total,), generator=generator)
        place = torch.rand(self.total, dtype=torch.float64, generator=generator)
        return by_class[first[chosen] + (place * sizes[chosen]).long()]

    def _weighted(self, generator: torch.Generator) -> Tensor:
        # torch.multinomial ends at 2^24 samples.
        assert self.weights is not None
        ends = torch.from_numpy(np.cumsum(self.weights))
        place = torch.rand(self.total, dtype=torch.float64, generator=generator) * ends[-1]
        last = int(np.flatnonzero(self.weights)[-1])
        return torch.searchsorted(ends, place, right=True).clamp(max=last)


def train_sampler(split: Split, config: LoaderConfig, seed: int) -> EpochSampler:
    """The sampler that `[loader]` asks for.

    Raises:
        ConfigError: a balanced sampler for a split whose labels are not known without reading it, or weights that
            are not one for each sample.
    """
    kind: Kind = "shuffled" if config.shuffle else "sequential"
    if config.sampler != "auto":
        kind = config.sampler
    targets = split.targets if kind == "balanced" else None
    if kind == "balanced" and targets is None:
        raise ConfigError('loader.sampler = "balanced": the data set has no list of targets to balance')
    if targets is not None and kind_of(targets) != "classes":
        raise ConfigError('loader.sampler = "balanced": the targets are numbers, but only classes can be balanced')
    classes = None if targets is None else targets.astype(np.int64)
    weights = sample_weights(config.weights, split) if kind == "weighted" else None
    total = config.num_samples or len(split)
    return EpochSampler(kind, len(split), total, seed, classes, weights)


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
