"""Track the live bytes of tensors during a computation, which may run on meta tensors."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Workspace = Callable[[OpOverload, tuple[Any, ...], Any], int]

_VALUE_OF_A_TENSOR = torch.ops.aten._local_scalar_dense.default


class LiveMemory(TorchDispatchMode):
    """Counts the bytes of every storage from the operation that makes it to its end.

    Views share their storage and cost nothing. What a kernel allocates and frees within itself is not seen, but told.

    Attributes:
        live: bytes that live now.
        peak: maximum of live bytes.
        gradients: bytes of live gradients, as reported by the code that creates and frees them.
        gradients_at_peak: bytes of gradients at the peak.
        answers_values: whether an operation that asks a tensor without values for one gets a made-up number: an
            optimizer's scalars decide nothing about sizes.
    """

    def __init__(self, granule: int = 64, workspace: Workspace = lambda operation, arguments, output: 0) -> None:
        """Nothing lives yet.

        Args:
            granule: bytes that an allocator rounds up to: 64 on the CPU, 512 on a GPU.
            workspace: bytes that an operation takes while it runs, by its positional arguments and what it returned.
        """
        super().__init__()
        self.live = 0
        self.peak = 0
        self.gradients = 0
        self.gradients_at_peak = 0
        self.answers_values = False
        self._granule = granule
        self._workspace = workspace
        self._known: dict[int, int] = {}

    def restart(self) -> None:
        """Look for a new peak from here on; there are no gradients now."""
        self.peak, self.gradients, self.gradients_at_peak = self.live, 0, 0

    def add(self, tensor: Tensor) -> None:
        """Count a tensor that was there before."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._known:
            return
        size = -(-storage.nbytes() // self._granule) * self._granule
        self._known[key] = size
        self.live += size
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.live -= self._known.pop(key, 0)

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the operation and count what it returns."""
        try:
            output = func(*args, **(kwargs or {}))
        except DataDependentOutputException:
            if not self.answers_values or func is not _VALUE_OF_A_TENSOR:
                raise
            # Neither 0 nor 1, so that formulas with a quotient hold.
            return 0.5 if args[0].is_floating_point() else 1
        for leaf in tree_leaves(output):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        reached = self.live + self._workspace(func, args, output)
        if reached > self.peak:
            self.peak = reached
            self.gradients_at_peak = self.gradients
        return output
