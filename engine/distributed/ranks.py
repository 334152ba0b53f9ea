"""The processes of a run: who this one is, and the few things that all of them do together.

One process alone needs no torch.distributed: `ALONE` does each of them without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")


class Ranks(Protocol):
    """One process of those that train a model.

    Every method but the properties is called by all processes at the same place, in the same order.

    Attributes:
        rank: number of this process over all machines, from 0; rank 0 owns the run's directory.
        world: how many processes there are.
        local_rank: number of this process on its machine.
        local_world: processes on this machine.
        largest_part: most samples that this process may put through the model at once, as memory ran out in an
            earlier life; 0 for whole batches.
        can_begin_again: whether the processes are started again if one of them is lost now.
    """

    rank: int
    world: int
    local_rank: int
    local_world: int
    largest_part: int
    can_begin_again: bool

    @property
    def is_first(self) -> bool:
        """Whether it is rank 0."""
        ...

    def agreed(self, value: T) -> T:
        """Rank 0's value, on every rank. Small plain values only."""
        ...

    def gathered(self, value: T) -> list[T]:
        """The values of all ranks, in their order. Small plain values only."""
        ...

    def together(self, work: Callable[[], T], *, host_first: bool = False) -> T:
        """Do something that may fail or take long; where it fails on one rank, it fails on all.

        Args:
            work: is done by every rank.
            host_first: the first rank of each machine does it before the others do: it downloads or decodes for them.

        Raises:
            RankError: it failed on another rank. On the rank itself, what was raised there.
        """
        ...

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over the ranks."""
        ...

    def is_lost_peer(self, error: BaseException) -> bool:
        """Whether an error says that another process is gone, or did not come in time. Each rank may ask alone."""
        ...

    def add_in_pairs(self, tensor: Tensor) -> None:
        """Replace a tensor by its sum over the ranks, whose number is a power of two, in the order of a binary tree.

        The sum has the same bits on every rank, and those of one process that adds the same values up in pairs.
        """
        ...

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by rank 0's."""
        ...


class OneProcess:
    """A process that trains alone; see `Ranks`."""

    rank = 0
    world = 1
    local_rank = 0
    local_world = 1
    largest_part = 0
    can_begin_again = False
    is_first = True

    def agreed(self, value: T) -> T:
        """See `Ranks.agreed`."""
        return value

    def gathered(self, value: T) -> list[T]:
        """See `Ranks.gathered`."""
        return [value]

    def together(self, work: Callable[[], T], *, host_first: bool = False) -> T:
        """See `Ranks.together`."""
        return work()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """See `Ranks.add_up`."""

    def is_lost_peer(self, error: BaseException) -> bool:
        """See `Ranks.is_lost_peer`."""
        return False

    def add_in_pairs(self, tensor: Tensor) -> None:
        """See `Ranks.add_in_pairs`."""

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """See `Ranks.spread`."""


ALONE: Ranks = OneProcess()
