"""Processes that torchrun started, as `torch.distributed` groups."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from ..errors import RankError

T = TypeVar("T")

# What gloo and NCCL say when another process is gone or silent; neither has a type of its own for it.
_LOST = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "gloo",
    "NCCL",
    "Timed out",
    "timeout",
    "Socket",
)

# Preparing a run may take one process this much longer than the others: it downloads or decodes for all of them.
_PREPARING = datetime.timedelta(hours=12)


class ProcessGroup:
    """This process among those that train a model; see `torchdeck.engine.distributed.ranks.Ranks`.

    Tensors travel in a group of their own kind of device; messages on the CPU have another, so that the two are never
    mixed.
    """

    def __init__(self, environment: dict[str, str], timeout_minutes: float, largest_part: int = 0) -> None:
        """Meet the other processes.

        Args:
            environment: the variables that torchrun sets.
            timeout_minutes: how long to wait for another process before it counts as lost.
            largest_part: see `Ranks`.

        Raises:
            RuntimeError: the others did not come.
        """
        self.rank, self.world = int(environment["RANK"]), int(environment["WORLD_SIZE"])
        self.local_rank, self.local_world = int(environment["LOCAL_RANK"]), int(environment["LOCAL_WORLD_SIZE"])
        self.largest_part = largest_part
        restarts = int(environment.get("TORCHELASTIC_RESTART_COUNT", "0"))
        self.can_begin_again = restarts < int(environment.get("TORCHELASTIC_MAX_RESTARTS", "0"))
        timeout = datetime.timedelta(minutes=timeout_minutes)
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        store, _, _ = next(rendezvous("env://", timeout=timeout))
        # The agent's store outlives its processes: addresses of an earlier life must not be taken for those of this.
        life = PrefixStore(f"life {restarts}", store)
        dist.init_process_group(backend, store=life, rank=self.rank, world_size=self.world, timeout=timeout)
        self.control: Any = dist.new_group(backend="gloo", timeout=timeout)
        self._preparing: Any = dist.new_group(backend="gloo", timeout=_PREPARING)

    @classmethod
    def of_environment(cls, timeout_minutes: float, largest_part: int = 0) -> ProcessGroup:
        """The group that torchrun describes to this process."""
        return cls(dict(os.environ), timeout_minutes, largest_part)

    @property
    def is_first(self) -> bool:
        """Whether it is rank 0."""
        return self.rank == 0

    def agreed(self, value: T) -> T:
        """See `Ranks.agreed`."""
        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.control)
        return box[0]

    def gathered(self, value: T) -> list[T]:
        """See `Ranks.gathered`."""
        return self._gathered(value, self.control)

    def together(self, work: Callable[[], T], *, host_first: bool = False) -> T:
        """See `Ranks.together`."""
        if host_first and self.local_rank:
            self._agree_on(None)
        result: T | None = None
        failure: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failure = error
        self._agree_on(failure)
        if host_first and not self.local_rank:
            # The others' turn.
            self._agree_on(None)
        return cast("T", result)

    def _agree_on(self, failure: Exception | None) -> None:
        """Raise what was raised here, or say what was raised elsewhere."""
        own = None if failure is None else (type(failure).__name__, str(failure))
        failures = self._gathered(own, self._preparing)
        if failure is not None:
            raise failure
        for rank, other in enumerate(failures):
            if other is not None:
                raise RankError(rank, *other)

    def _gathered(self, value: T, group: Any) -> list[T]:
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value, group=group)
        return values

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """See `Ranks.add_up`; one message for each dtype."""
        _replace_together(tensors, dist.all_reduce)

    def add_in_pairs(self, tensor: Tensor) -> None:
        """See `Ranks.add_in_pairs`: at each level of the tree, two halves exchange their sums."""
        distance = 1
        other = torch.empty_like(tensor)
        while distance < self.world:
            peer = self.rank ^ distance
            exchange = [dist.P2POp(dist.isend, tensor, peer), dist.P2POp(dist.irecv, other, peer)]
            for work in dist.batch_isend_irecv(exchange):
                work.wait()
            # The sum of two is the same whichever comes first.
            tensor += other
            distance *= 2

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """See `Ranks.spread`; one message for each dtype."""
        _replace_together(tensors, partial(dist.broadcast, src=0))

    def is_lost_peer(self, error: BaseException) -> bool:
        """See `Ranks.is_lost_peer`."""
        if isinstance(error, dist.DistError):
            return True
        return isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST)

    def leave(self) -> None:
        """End the group."""
        dist.destroy_process_group()


def _replace_together(tensors: Sequence[Tensor], exchange: Callable[[Tensor], object]) -> None:
    """Exchange tensors with the other processes, all of a dtype in one message, and let each take its new values."""
    # Not a set: its order differs between processes, and all must send the same message first.
    for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
        same = [tensor for tensor in tensors if tensor.dtype == dtype]
        flat = torch.cat([tensor.reshape(-1) for tensor in same])
        exchange(flat)
        for tensor, part in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
            tensor.copy_(part.view_as(tensor))
