"""Results of the most common operations on meta tensors, computed without torch's dispatcher.

torch works out on the meta device what they return through formulas in Python that first split them into dozens of
smaller operations: a batch norm takes more than a millisecond, half of all the time that a convolutional network does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

aten = torch.ops.aten

_DRAWS: frozenset[Any] = frozenset(
    {torch.Tensor.normal_, torch.Tensor.uniform_, nn.init.normal_, nn.init.uniform_}  # type: ignore[arg-type]
)


def known_result(func: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Any:
    """What the operation returns for tensors on meta, as torch's own kernel would; None where that has to be asked."""
    shortcut = _RESULTS.get(func)
    if shortcut is None or keywords or not all(value.is_meta for value in args if isinstance(value, Tensor)):
        return None
    return shortcut(*args)


def filled_without_values(func: Any, args: tuple[Any, ...], keywords: Mapping[str, Any]) -> Tensor | None:
    """The tensor that a function would fill with random values, if it has none to be filled; None otherwise."""
    if func in _DRAWS or (func is nn.init.kaiming_uniform_ and _as_layers_do(keywords)):
        tensor = args[0] if args else keywords.get("tensor")
        if isinstance(tensor, Tensor) and tensor.is_meta and (func in _DRAWS or tensor.dim() > 1):
            return tensor
    return None


def _as_layers_do(keywords: Mapping[str, Any]) -> bool:
    """Whether it is the initialization of torch's linear and convolutional layers; another may have an error."""
    return keywords.get("mode") == "fan_in" and keywords.get("nonlinearity") == "leaky_relu"


def _batch_norm(
    inputs: Tensor, weight: Any, bias: Any, mean: Any, variance: Any, training: bool, momentum: float, epsilon: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    per_channel = [tensor for tensor in (weight, bias, mean, variance) if tensor is not None]
    is_usual = inputs.dim() > 1 and all(
        tensor.dtype == inputs.dtype and tensor.shape == inputs.shape[1:2] for tensor in per_channel
    )
    if training or mean is None or variance is None or not is_usual:
        return None
    channels = inputs.shape[1]
    return torch.empty_like(inputs), inputs.new_empty(channels), inputs.new_empty(channels)


def _layer_norm(
    inputs: Tensor, normalized: list[int], weight: Any, bias: Any, epsilon: float
) -> tuple[Tensor, Tensor, Tensor] | None:
    last = inputs.shape[inputs.dim() - len(normalized) :]
    affine = [tensor for tensor in (weight, bias) if tensor is not None]
    is_usual = (
        0 < len(normalized) <= inputs.dim()
        and tuple(last) == tuple(normalized)
        and all(tensor.dtype == inputs.dtype and tensor.shape == last for tensor in affine)
    )
    if not is_usual or inputs.dtype not in (torch.float32, torch.float64):
        return None
    rows = (*inputs.shape[: inputs.dim() - len(normalized)], *(1 for _ in normalized))
    # Its rows lie one after the other, however those of the inputs do.
    return inputs.new_empty(inputs.shape), inputs.new_empty(rows), inputs.new_empty(rows)


def _addmm(bias: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    is_usual = (
        bias.dtype == left.dtype == right.dtype
        and left.dim() == right.dim() == 2
        and left.shape[1] == right.shape[0]
        and bias.shape == right.shape[1:]
    )
    return left.new_empty(left.shape[0], right.shape[1]) if is_usual else None


def _activation(inputs: Tensor, *settings: Any) -> Tensor | None:
    return torch.empty_like(inputs) if inputs.is_floating_point() and _is_dense(inputs) else None


def _activation_in_place(inputs: Tensor, *settings: Any) -> Tensor | None:
    return inputs if inputs.is_floating_point() else None


def _elementwise(left: Tensor, right: Any) -> Tensor | None:
    is_usual = (
        isinstance(right, Tensor)
        and left.dtype == right.dtype
        and left.shape == right.shape
        and left.stride() == right.stride()
        and _is_dense(left)
    )
    return torch.empty_like(left) if is_usual else None


def _is_dense(tensor: Tensor) -> bool:
    return tensor.is_contiguous() or tensor.is_contiguous(memory_format=torch.channels_last)


_RESULTS: dict[Any, Callable[..., Any]] = {
    aten.native_batch_norm.default: _batch_norm,
    aten.native_layer_norm.default: _layer_norm,
    aten.addmm.default: _addmm,
    aten.add.Tensor: _elementwise,
    aten.mul.Tensor: _elementwise,
    aten.relu.default: _activation,
    aten.gelu.default: _activation,
    aten.silu.default: _activation,
    aten.sigmoid.default: _activation,
    aten.hardsigmoid.default: _activation,
    aten.hardswish.default: _activation,
    aten.hardtanh.default: _activation,
    aten.relu_.default: _activation_in_place,
    aten.silu_.default: _activation_in_place,
    aten.hardswish_.default: _activation_in_place,
    aten.hardtanh_.default: _activation_in_place,
}
