"""A split of samples other than images, read once into one tensor and kept: no workers, only a gather."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...config import Component
from ...inputs import moved
from ...progress import Progress
from ..datasets.samples import as_tensors, read_sample, require_same_target
from ..datasets.splits import Split
from ..datasets.targets import is_same_target
from .batching import Batching
from .collation import make_batch
from .storage import Unavailable

# Samples that are looked at before a split is read.
_LOOKED_AT = 3
_CHUNK = 1024


@dataclass(frozen=True)
class KeptTensors:
    """Tensors of a split that are kept in memory.

    Attributes:
        sample_bytes: bytes of one sample's input.
    """

    sample_bytes: int


def plan_kept(split: Split, transforms: Sequence[Component]) -> KeptTensors | Unavailable:
    """How a split of samples other than images can be kept, or why it can't be.

    Raises:
        DataError, UserCodeError: a sample that is looked at can't be read.
    """
    if split.collate is not None:
        return Unavailable("a collate_fn makes the batches")
    if transforms:
        return Unavailable("transforms of samples other than images are applied one by one")
    looked_at = range(min(_LOOKED_AT, len(split)))
    samples = []
    for position in looked_at:
        value, target = read_sample(split, position)
        if split.targets is not None and not is_same_target(target, split.targets[position]):
            return Unavailable("the data set returns different targets for the same index")
        samples.append(as_tensors(value))
    first = samples[0]
    if not isinstance(first, Tensor):
        return Unavailable("samples consist of several tensors")
    for position, sample in zip(looked_at, samples, strict=True):
        if not isinstance(sample, Tensor) or (sample.shape, sample.dtype) != (first.shape, first.dtype):
            return Unavailable("samples differ in shape")
        again = as_tensors(read_sample(split, position)[0])
        if again.shape != sample.shape or not torch.equal(again.nan_to_num(), sample.nan_to_num()):
            return Unavailable("the data set returns different samples for the same index")
    return KeptTensors(first.nbytes)


class TensorLoader:
    """A BatchLoader over a split that is kept as one tensor."""

    def __init__(
        self,
        split: Split,
        batching: Batching,
        *,
        home: torch.device,
        progress: Progress,
    ) -> None:
        """Read the split.

        Args:
            split: split to keep in memory.
            batching: of which samples its batches are, and where they go.
            home: where it is kept.
            progress: called with what is done, samples done, samples in all.

        Raises:
            DataError, UserCodeError: a sample can't be read, or has another shape than the others.
        """
        self.num_samples, self.num_batches = batching.num_samples, batching.num_batches
        self.batch_size = batching.batch_size
        self._device, self._home, self._sampler = batching.device, home, batching.sampler
        parts = list(_read(split, progress))
        self._inputs = torch.cat([inputs for inputs, _ in parts]).to(home)
        self._targets = torch.cat([targets for _, targets in parts]).to(home)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of an epoch from number `start` on: inputs and targets, on the device."""
        order = self._sampler.order(epoch)
        samples = torch.arange(self.num_samples) if order is None else order.samples
        for chosen in samples.to(self._home).split(self.batch_size)[start : self.num_batches]:
            batch = self._inputs.index_select(0, chosen), self._targets.index_select(0, chosen)
            yield moved(batch, self._device)


def _kept_sample(split: Split, position: int) -> tuple[Any, Any]:
    value, target = read_sample(split, position)
    require_same_target(split, position, target)
    return as_tensors(value), target


def _read(split: Split, progress: Progress) -> Iterator[tuple[Tensor, Tensor]]:
    message, total = f"reading {split.name}", len(split)
    expected: torch.Size | None = None
    for start in range(0, total, _CHUNK):
        progress(message, start, total)
        positions = range(start, min(start + _CHUNK, total))
        samples = [_kept_sample(split, position) for position in positions]
        inputs, targets = make_batch(split, positions, samples)
        assert isinstance(inputs, Tensor)
        if expected is not None and inputs.shape[1:] != expected:
            # One sample of each part, for the message.
            first = as_tensors(read_sample(split, 0)[0]), samples[0][1]
            make_batch(split, [0, start], [first, samples[0]])
        expected = inputs.shape[1:]
        yield inputs, targets
    progress(message, total, total)
