"""A training step of processes that each have a part of every weight: for models that one device can't hold.

The weights are sharded by torch's `fully_shard` (FSDP2): they come together block by block for a pass and are given
back; each process keeps its part of them, of their gradients and of the optimizer's state.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from ...errors import ConfigError
from ...models.tree.blocks import repeated_blocks
from .reduced_step import ReducedStep
from .step import Batch


def shard_model(model: nn.Module, device: torch.device, world: int) -> nn.Module:
    """Shard the weights of a model in place; block by block, so that the device never holds all of them.

    The blocks are those that the model repeats; a model that repeats none is one block.

    Args:
        model: on the CPU; all processes have the same weights.
        device: where the shards go.
        world: processes.

    Raises:
        ConfigError: a weight that has no dimension to be cut along.
    """
    if scalars := [name for name, weight in model.named_parameters() if not weight.ndim]:
        raise ConfigError(
            f'parallel.strategy = "fsdp": {scalars[0]} is a single number, which can\'t be sharded; make it a tensor '
            "of one element"
        )
    mesh = init_device_mesh(device.type, (world,))
    blocks = [block for _, block in repeated_blocks(model)]
    for block in blocks:
        if any(True for _ in block.parameters()):
            fully_shard(block, mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=True)
    return model


class FullyShardedStep(ReducedStep):
    """As `ReducedStep`, of a model that `shard_model` has sharded.

    Every pass is one of all processes, so that none may do more of them than the others: a process that runs out of
    memory can't go on in smaller parts.
    """

    passes_are_shared = True

    @property
    def can_split(self) -> bool:
        """Never."""
        return False

    def _wrap(self, window: Sequence[Batch]) -> nn.Module:
        return self.model

    @contextmanager
    def _without_sending(self) -> Iterator[None]:
        model: Any = self.model
        model.set_requires_gradient_sync(False)
        try:
            yield
        finally:
            model.set_requires_gradient_sync(True)
