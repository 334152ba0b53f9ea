"""Inputs of a model: one tensor, a tuple of tensors (arguments), or a dict of tensors (keyword arguments)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from .shapes import Shape, is_plain

Inputs = Tensor | tuple[Any, ...] | dict[str, Any]
"""A batch as the model receives it. Tuples and dicts may contain tuples, lists and dicts."""


def call_model(model: nn.Module, inputs: Inputs) -> Any:
    """`model(inputs)` for a tensor, `model(*inputs)` for a tuple, `model(**inputs)` for a dict."""
    if isinstance(inputs, Tensor):
        return model(inputs)
    return model(**inputs) if isinstance(inputs, dict) else model(*inputs)


def map_tensors(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """The same structure with the function applied to each tensor; what is not a tensor stays."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, Mapping):
        return {key: map_tensors(function, item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(function, item) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(map_tensors(function, item) for item in value)
    return value


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Every tensor of a structure, in order."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_of(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from tensors_of(item)


def moved(value: Any, device: torch.device, *, non_blocking: bool = False) -> Any:
    """The same structure with its tensors on a device."""
    return map_tensors(lambda tensor: tensor.to(device, non_blocking=non_blocking), value)


def channels_last(inputs: Inputs) -> Inputs:
    """Batches of images [B, C, H, W] in channels-last memory format; other tensors as they are."""
    return map_tensors(
        lambda tensor: tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor, inputs
    )


def sample_shape_of(batch: Any) -> Shape:
    """The shape of one sample of a batch: every tensor's without its first dimension."""
    if isinstance(batch, Tensor):
        return tuple(batch.shape[1:])
    if isinstance(batch, Mapping):
        return {str(key): sample_shape_of(item) for key, item in batch.items()}
    return tuple(sample_shape_of(item) for item in batch if isinstance(item, Tensor | tuple | list | Mapping))


def one_sample(shape: Shape) -> Inputs:
    """A batch of one sample of zeros."""
    if isinstance(shape, Mapping):
        return {name: one_sample(item) for name, item in shape.items()}
    return torch.zeros(1, *shape) if is_plain(shape) else tuple(one_sample(item) for item in shape)
