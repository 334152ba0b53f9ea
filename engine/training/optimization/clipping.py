"""Bounds on gradients before an optimizer's step, in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

ClipMethod = Literal["norm", "value", "adaptive"]

# A weight that is still 0 may grow, and no gradient is divided by 0.
_SMALLEST_WEIGHT_NORM, _SMALLEST_GRADIENT_NORM = 1e-3, 1e-6


def clip_gradients(parameters: Sequence[nn.Parameter], limit: float, method: ClipMethod) -> None:
    """Bound the gradients of `parameters`; nothing waits for the device.

    Args:
        parameters: parameters; those without a gradient are skipped.
        limit: limit of the method.
        method: "norm" scales all gradients by one factor, so that their 2-norm together is at most `limit`; "value"
            bounds every component; "adaptive" scales the gradient of each unit (an output row or filter; the whole of
            a vector) so that its norm is at most `limit` times the norm of the unit's weights (Brock et al.:
            High-Performance Large-Scale Image Recognition Without Normalization, 2021, equation 3).
    """
    if method == "norm":
        nn.utils.clip_grad_norm_(parameters, limit)
    elif method == "value":
        nn.utils.clip_grad_value_(parameters, limit)
    else:
        for parameter in parameters:
            if parameter.grad is not None:
                _clip_adaptively(parameter.detach(), parameter.grad, limit)


def _clip_adaptively(weight: Tensor, gradient: Tensor, limit: float) -> None:
    largest = _unit_norm(weight).clamp_(min=_SMALLEST_WEIGHT_NORM).mul_(limit)
    norm = _unit_norm(gradient)
    factor = largest / norm.clamp(min=_SMALLEST_GRADIENT_NORM)
    gradient.mul_(torch.where(norm > largest, factor, torch.ones_like(factor)))


def _unit_norm(tensor: Tensor) -> Tensor:
    if tensor.ndim <= 1:
        return tensor.norm()
    return tensor.norm(dim=tuple(range(1, tensor.ndim)), keepdim=True)
