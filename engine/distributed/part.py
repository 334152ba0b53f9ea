"""Which rows of a batch belong to which process: contiguous shards, so that the parts together are the batch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """The part of every batch that one process computes.

    A batch is cut into `shards` shards of nearly equal size, the first ones larger by one sample where it does not
    divide evenly; each process has as many adjacent shards as the others.

    Attributes:
        rank: number of the process, from 0.
        world: number of processes.
        shards: shards of a batch, a multiple of `world`.
    """

    rank: int = 0
    world: int = 1
    shards: int = 1

    @property
    def is_whole(self) -> bool:
        """Whether it is all of a batch."""
        return self.world == 1

    @property
    def own_shards(self) -> range:
        """The numbers of this process's shards."""
        each = self.shards // self.world
        return range(self.rank * each, (self.rank + 1) * each)

    def start(self, shard: int, samples: int) -> int:
        """Number of the first sample of a shard in a batch of `samples`."""
        size, larger = divmod(samples, self.shards)
        return shard * size + min(shard, larger)

    def rows(self, samples: int) -> range:
        """This process's samples of a batch of `samples`."""
        own = self.own_shards
        return range(self.start(own.start, samples), self.start(own.stop, samples))

    def shard_sizes(self, samples: int) -> list[int]:
        """The sizes of this process's shards of a batch of `samples`."""
        return [self.start(shard + 1, samples) - self.start(shard, samples) for shard in self.own_shards]


WHOLE = Part()
"""All of every batch: one process trains alone."""
