"""Recovery from out of memory: the same step in smaller parts, with the same effective batch."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from ...errors import PartsNeededError
from ...plurals import plural
from .step import Batch, TrainStep, batch_of_zeros

T = TypeVar("T")

# Memory runs out in the first steps of a life, or where a batch is larger than those before it: these steps can be
# undone to the bit. Later ones may leave a part of their batch counted twice in running statistics.
_UNDOABLE_STEPS = 3


@dataclass(frozen=True)
class Parts:
    """Result of a batch that ran out of memory.

    Attributes:
        largest: maximum samples per forward pass from now on.
        message: the first line of what the allocator said.
    """

    largest: int
    message: str


class RecoveringPasses:
    """The forward and backward passes of a step, which split their batches once they don't fit into memory.

    The parts' gradients are added up with the weights of their samples, so the step is the one of the whole batch but
    for rounding. Batch normalization takes its statistics over a part, as with `training.accumulate`, and dropout
    draws again for each part.

    Attributes:
        largest_part: maximum samples per forward pass; 0 for whole batches.
    """

    def __init__(self, step: TrainStep, reseed: Callable[[], None], on_split: Callable[[Parts], None]) -> None:
        """Wrap a step's passes.

        Args:
            step: does the passes; what its update needs can't be split.
            reseed: sets the generators as they were when the step began.
            on_split: called on every split.
        """
        self.largest_part = 0
        self._step = step
        self._reseed = reseed
        self._on_split = on_split
        self._undoable = _UNDOABLE_STEPS

    def __call__(self, window: Sequence[Batch]) -> tuple[Tensor, list[Tensor]]:
        """As `TrainStep.forward_backward`, in parts. The predictions are in the samples' order.

        Raises:
            torch.OutOfMemoryError: single samples don't fit.
            PartsNeededError: the step can't begin again, as other processes have had its gradients.
        """
        saved = None
        if self._undoable:
            self._undoable -= 1
            saved = [(buffer, buffer.clone()) for buffer in self._step.model.buffers()]
        while True:
            problem = ""
            try:
                return self._step.forward_backward(self._in_parts(window) if self._splits else window)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self._can_split(window):
                    raise
                problem = str(error).split("\n", 1)[0]
            largest = max(len(targets) for _, targets in window)
            parts = Parts(-(-min(self.largest_part or largest, largest) // 2), problem)
            if self._step.is_sending:
                raise PartsNeededError(parts.largest, parts_in_words(parts, "training"))
            # Outside of the handler: the error's frames hold the very tensors that are to be freed.
            self._undo(saved)
            self.largest_part = parts.largest
            self._on_split(parts)

    @property
    def _splits(self) -> bool:
        # A checkpoint of a run that split its batches may be resumed where all processes do equally many passes.
        return bool(self.largest_part) and not self._step.passes_are_shared

    def _can_split(self, window: Sequence[Batch]) -> bool:
        return self._step.can_split and self.largest_part != 1 and max(len(targets) for _, targets in window) > 1

    def _in_parts(self, window: Sequence[Batch]) -> list[Batch]:
        return [part for batch in window for part in parts_of(batch, self.largest_part)]

    def _undo(self, saved: list[tuple[Tensor, Tensor]] | None) -> None:
        self._step.optimizer.zero_grad(set_to_none=True)
        with torch.no_grad():
            for buffer, before in saved or []:
                buffer.copy_(before)
        release_memory()
        self._reseed()


class RecoveringEvaluation:
    """Forward passes of an evaluation, which split their batches once they don't fit into memory.

    A pass in eval mode changes nothing, so only the batch that did not fit is done again: of several processes, the
    others need not know. Where every pass is one of all processes, none is done again, and each does as many as the
    others.

    Attributes:
        largest_part: maximum samples per forward pass; 0 for whole batches.
    """

    def __init__(self, on_split: Callable[[Parts], None], *, are_shared: bool = False) -> None:
        self.largest_part = 0
        self._on_split = on_split
        self._are_shared = are_shared

    def __call__(self, batch: Batch, work: Callable[[Batch], T]) -> list[T]:
        """`work` of the batch, or of each of its parts; nothing for a batch without samples.

        Raises:
            torch.OutOfMemoryError: single samples don't fit.
        """
        if not len(batch[1]):
            if self._are_shared:
                work(batch_of_zeros(batch, 1))
            return []
        while True:
            parts = parts_of(batch, self.largest_part) if self.largest_part and not self._are_shared else [batch]
            largest = max(len(targets) for _, targets in parts)
            try:
                return [work(part) for part in parts]
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or largest == 1 or self._are_shared:
                    raise
                problem = str(error).split("\n", 1)[0]
            release_memory()
            self.largest_part = -(-largest // 2)
            self._on_split(Parts(self.largest_part, problem))


def parts_of(batch: Batch, largest: int) -> list[Batch]:
    """A batch as the fewest parts of at most `largest` samples, nearly equal in size."""
    inputs, targets = batch
    count = -(-len(targets) // largest)
    return list(zip(_split(inputs, count), targets.tensor_split(count), strict=True))


def _split(inputs: Any, count: int) -> Sequence[Any]:
    """Inputs in parts: of a model that takes several tensors, each of them."""
    if isinstance(inputs, Tensor):
        return inputs.tensor_split(count)
    if isinstance(inputs, dict):
        parts = {name: _split(value, count) for name, value in inputs.items()}
        return [{name: part[number] for name, part in parts.items()} for number in range(count)]
    return list(zip(*(_split(value, count) for value in inputs), strict=True))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that an allocation failed, on a GPU or on the CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def release_memory() -> None:
    """Give cached memory back, so that what was held by a failed step can be allocated again."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def parts_in_words(parts: Parts, what: str) -> str:
    """For the screen."""
    return f"out of memory: {what} continues in parts of {plural(parts.largest, 'sample')} ({parts.message})"
