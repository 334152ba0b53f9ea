"""Tensors of which every process has a part: whole for a file, cut again for a process that reads one.

torch calls them DTensors. They are known by what they can do: a run of one process imports no torch.distributed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class OwnPart:
    """A copy of this process's part of a sharded tensor, on the CPU."""

    values: Tensor


def is_sharded(tensor: Tensor) -> bool:
    """Whether each process has only a part of it."""
    return hasattr(tensor, "full_tensor")


def local_part(tensor: Any) -> Tensor:
    """What this process has of a sharded tensor; shares its memory."""
    part: Tensor = tensor.to_local()
    return part


def stored(tensor: Tensor) -> Tensor:
    """The memory that this process has of a tensor, without its gradient: of a sharded one its part."""
    return local_part(tensor.detach()) if is_sharded(tensor) else tensor.detach()


def whole(tensor: Any) -> Tensor:
    """All of a sharded tensor. All processes call it in the same order."""
    gathered: Tensor = tensor.full_tensor()
    return gathered


def fitted(value: Any, like: Any) -> Any:
    """A saved tensor as one that is sharded like another has it; anything else as it is.

    Args:
        value: a whole tensor, an `OwnPart`, or no tensor at all.
        like: what it will be copied to.
    """
    if not isinstance(like, Tensor) or not is_sharded(like):
        return value
    from torch.distributed.tensor import DTensor, distribute_tensor

    sharded: Any = like
    mesh, placements = sharded.device_mesh, sharded.placements
    if isinstance(value, OwnPart):
        return DTensor.from_local(
            value.values.to(mesh.device_type), mesh, placements, shape=like.shape, stride=like.stride()
        )
    if not isinstance(value, Tensor) or is_sharded(value) or value.shape != like.shape:
        return value
    # Each process has the whole, and takes its part without asking the others.
    return distribute_tensor(value, mesh, placements, src_data_rank=None)


def fitted_model_state(saved: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A saved `state_dict` of a model, its tensors sharded like those of `own`."""
    return {name: fitted(value, own.get(name)) for name, value in saved.items()}


def fitted_optimizer_state(saved: dict[str, Any], optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """A saved `state_dict` of an optimizer, what belongs to a weight element by element sharded like the weight."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    if not any(map(is_sharded, weights)):
        return saved
    state = {
        index: {name: fitted(value, weights[index]) for name, value in values.items()}
        for index, values in saved["state"].items()
    }
    return {**saved, "state": state}
