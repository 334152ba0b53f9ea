"""Buffer of model outputs on the device, so that several batches are counted at once."""

from __future__ import annotations

import torch
from torch import Tensor

# Enough batches to make counting them nearly free, little enough memory to go unnoticed.
_BATCHES = 64
_BYTES = 8 << 20


class HeldOutputs:
    """Outputs with their targets, batch after batch."""

    def __init__(self) -> None:
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._outputs)

    def add(self, outputs: list[Tensor], targets: list[Tensor]) -> None:
        """Keep some batches, in memory that is not overwritten later.

        Args:
            outputs: each [B, K].
            targets: each [B] or [B, K]; as many samples in the same order, not necessarily in the same batches.
        """
        self._outputs += outputs
        self._targets += targets
        self._bytes += sum(part.nbytes for part in outputs)

    @property
    def is_full(self) -> bool:
        """Whether it is time to count them."""
        return len(self._outputs) >= _BATCHES or self._bytes >= _BYTES

    def take(self) -> tuple[Tensor, Tensor]:
        """All of them as one batch, and hold none. Of at least one."""
        outputs, targets = torch.cat(self._outputs), torch.cat(self._targets)
        self.clear()
        return outputs, targets

    def clear(self) -> None:
        """Hold none."""
        self._outputs, self._targets, self._bytes = [], [], 0
