"""Copies of a run's state on the CPU, in memory that is kept from one save to the next."""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import torch
from torch import Tensor

from ..distributed.sharded_tensors import OwnPart, is_sharded, local_part, whole

_BufferKey = tuple[torch.Size, tuple[int, ...], torch.dtype]


class SnapshotBuffers:
    """Memory for snapshots of tensors: allocated by the first, used again by later ones.

    Fresh memory costs a page fault every 4 KB, which takes several times as long as the copy itself. For a GPU the
    memory is page-locked, so that the copies of one snapshot run without the host waiting for each.
    """

    def __init__(self, device: torch.device) -> None:
        """Keep memory for tensors that live on `device`."""
        self._is_pinned = device.type == "cuda"
        self._free: dict[_BufferKey, list[Tensor]] = {}
        self._lock = threading.Lock()

    def snapshot(self) -> Snapshot:
        """Begin a snapshot for this process; it is filled by `copied`. Of sharded tensors, it has its `OwnPart`s."""
        return Snapshot(self, is_gathered=False, is_kept=True)

    def snapshot_of_all(self, *, is_kept: bool) -> Snapshot:
        """Begin a snapshot for a file, with whole tensors. All processes fill one in the same order.

        Args:
            is_kept: whether this process writes the file; else its tensors are empty.
        """
        return Snapshot(self, is_gathered=True, is_kept=is_kept)

    def _take(self, tensor: Tensor) -> Tensor:
        key = _key(tensor)
        with self._lock:
            if free := self._free.get(key):
                return free.pop()
        return torch.empty_strided(*key[:2], dtype=tensor.dtype, pin_memory=self._is_pinned)

    def _give_back(self, buffers: list[Tensor]) -> None:
        with self._lock:
            for buffer in buffers:
                self._free.setdefault(_key(buffer), []).append(buffer)


class Snapshot:
    """One state being copied. `wait` before its tensors are read, `release` when they are no longer read."""

    def __init__(self, buffers: SnapshotBuffers, *, is_gathered: bool, is_kept: bool) -> None:
        self._buffers = buffers
        self._is_gathered, self._is_kept = is_gathered, is_kept
        self._copies: dict[tuple[Any, ...], Tensor] = {}
        # By identity, with the tensor itself, whose number must not become another's.
        self._gathered: dict[int, tuple[Tensor, Tensor]] = {}
        self._taken: list[Tensor] = []
        self._devices: set[torch.device] = set()

    def copied(self, value: Any) -> Any:
        """`value` with every tensor copied to the CPU; tensors that were one stay one."""
        if isinstance(value, Tensor):
            return self._copied_sharded(value) if is_sharded(value) else self._copied_own(value.detach())
        if isinstance(value, dict):
            return {name: self.copied(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.copied(item) for item in value)
        return value

    def wait(self) -> None:
        """Wait until every copy has arrived."""
        for device in self._devices:
            torch.cuda.current_stream(device).synchronize()
        self._devices.clear()

    def release(self) -> None:
        """Give the memory to later snapshots. A second call does nothing."""
        taken, self._taken = self._taken, []
        self._copies.clear()
        self._gathered.clear()
        self._buffers._give_back(taken)

    def _copied_sharded(self, tensor: Tensor) -> Tensor | OwnPart:
        if not self._is_gathered:
            return OwnPart(self._copied_tensor(local_part(tensor.detach())))
        # Not known by its memory: that of a gathered tensor is soon another's, and all processes must gather alike.
        if id(tensor) not in self._gathered:
            gathered = whole(tensor.detach())
            self._gathered[id(tensor)] = tensor, self._buffered(gathered) if self._is_kept else torch.empty(0)
        return self._gathered[id(tensor)][1]

    def _copied_own(self, tensor: Tensor) -> Tensor:
        return self._copied_tensor(tensor) if self._is_kept else torch.empty(0)

    def _copied_tensor(self, tensor: Tensor) -> Tensor:
        if tensor.layout is not torch.strided:
            return tensor.to("cpu", copy=True)
        place = (tensor.device, tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and place in self._copies:
            return self._copies[place]
        copy = self._buffered(tensor) if _is_dense(tensor) else tensor.to("cpu", copy=True)
        self._copies[place] = copy
        return copy

    def _buffered(self, tensor: Tensor) -> Tensor:
        buffer = self._buffers._take(tensor)
        self._taken.append(buffer)
        if tensor.device.type == "cpu" and not tensor.is_conj() and not tensor.is_neg():
            # In this thread alone: torch's copy is spread over its OpenMP threads, and where a core is busy with
            # something else, every one of hundreds of tensors waits for the slowest of them.
            ctypes.memmove(buffer.data_ptr(), tensor.data_ptr(), tensor.numel() * tensor.element_size())
            return buffer
        buffer.copy_(tensor, non_blocking=tensor.is_cuda)
        if tensor.is_cuda:
            self._devices.add(tensor.device)
        return buffer


def _key(tensor: Tensor) -> _BufferKey:
    return tensor.shape, tensor.stride(), tensor.dtype


def _is_dense(tensor: Tensor) -> bool:
    """Whether memory of the same strides holds the tensor's elements and nothing else."""
    if not tensor.numel():
        return False
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return span == tensor.numel()
