"""Recovery from out of memory: the same step in smaller parts, with the same effective batch."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...data.loading.batch_loader import BatchLoader
from ...plurals import plural
from .evaluation import Evaluation
from .step import Batch, TrainStep

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
        """
        saved = None
        if self._undoable:
            self._undoable -= 1
            saved = [(buffer, buffer.clone()) for buffer in self._step.model.buffers()]
        while True:
            problem = ""
            try:
                return self._step.forward_backward(self._in_parts(window) if self.largest_part else window)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or not self._can_split(window):
                    raise
                problem = str(error).split("\n", 1)[0]
            # Outside of the handler: the error's frames hold the very tensors that are to be freed.
            self._undo(saved)
            sizes = [len(targets) for _, targets in window]
            self.largest_part = -(-min(self.largest_part or max(sizes), max(sizes)) // 2)
            self._on_split(Parts(self.largest_part, problem))

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
    """Evaluation whose batches are split once they don't fit into memory.

    Attributes:
        largest_part: maximum samples per forward pass; 0 for whole batches.
    """

    def __init__(self, on_split: Callable[[Parts], None]) -> None:
        self.largest_part = 0
        self._on_split = on_split

    def __call__(self, loader: BatchLoader, evaluate: Callable[[BatchLoader], Evaluation | None]) -> Evaluation | None:
        """`evaluate(loader)`, restarted with smaller batches when memory runs out.

        Raises:
            torch.OutOfMemoryError: single samples don't fit.
        """
        while True:
            batches = SplitLoader(loader, self.largest_part) if self.largest_part else loader
            try:
                return evaluate(batches)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error) or batches.batch_size == 1:
                    raise
                problem = str(error).split("\n", 1)[0]
            release_memory()
            self.largest_part = -(-min(batches.batch_size, batches.num_samples) // 2)
            self._on_split(Parts(self.largest_part, problem))


class SplitLoader:
    """A loader whose batches come in parts; see `torchdeck.engine.data.loading.loaders.BatchLoader`."""

    def __init__(self, loader: BatchLoader, largest_part: int) -> None:
        self.num_samples = loader.num_samples
        self.batch_size = min(largest_part, loader.batch_size)
        self.num_batches = loader.num_batches * -(-loader.batch_size // self.batch_size)
        self._loader = loader

    def batches(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Every part of every batch, from part `start` on."""
        per_batch = -(-self._loader.batch_size // self.batch_size)
        whole, first = divmod(start, per_batch)
        for batch in self._loader.batches(epoch, whole):
            yield from parts_of(batch, self.batch_size)[first:]
            first = 0


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
