"""Norms of every module's gradients and updates, recorded every N steps.

Only norms of existing tensors are computed: no hook, no random number and no value of the run is touched.
Nothing waits for the device until the norms are read.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...models.tree.walk import walk

# The update of a large tensor is measured on this many of its weights: a copy of all would cost memory and time.
_SAMPLE = 16_384


@dataclass(frozen=True)
class GradientLook:
    """One look, after the backward pass and around the update of one step.

    Attributes:
        step: optimizer steps done, this one included.
        gradient: norm of the gradient of each module's own parameters, before clipping and without the loss scale;
            None where none of them has one.
        weight: norm of the weights after the update, by estimate from a part of each large tensor.
        update: norm of what the update changed, estimated in the same way.
    """

    step: int
    gradient: list[float | None]
    weight: list[float]
    update: list[float]


@dataclass(frozen=True)
class _Pending:
    step: int
    values: Tensor
    present: list[int]
    is_scaled: bool


class GradientProbe:
    """Takes norms of a model's gradients, weights and updates.

    Attributes:
        paths: the modules with trained parameters of their own, in the order of the model.
        step: label of the next record: completed optimizer steps, including the measured step.
    """

    def __init__(self, model: nn.Module) -> None:
        self.paths: list[str] = []
        self.step = 0
        self._parameters: list[nn.Parameter] = []
        self._module_of: list[int] = []
        seen: set[int] = set()
        for visit in walk(model):
            own = [
                parameter
                for parameter in visit.module._parameters.values()
                if parameter is not None and parameter.requires_grad and id(parameter) not in seen
            ]
            seen.update(map(id, own))
            if own:
                self._module_of += [len(self.paths)] * len(own)
                self._parameters += own
                self.paths.append(visit.path)
        self._sizes = [min(parameter.numel(), _SAMPLE) for parameter in self._parameters]
        self._before: Tensor | None = None
        self._norms: tuple[list[int], list[Tensor], Tensor | None] = ([], [], None)
        self._pending: list[_Pending] = []

    @torch.no_grad()
    def before_update(self, scaler: torch.amp.GradScaler | None) -> None:
        """Take the norms of the gradients, and copy what the update will change.

        Args:
            scaler: the scaler whose factor the gradients still carry; None when they carry none.
        """
        present = [
            index
            for index, parameter in enumerate(self._parameters)
            if parameter.grad is not None and parameter.grad.layout == torch.strided
        ]
        gradients = [parameter.grad for parameter in self._parameters if parameter.grad is not None]
        if len(gradients) != len(present):
            gradients = [gradient for gradient in gradients if gradient.layout == torch.strided]
        norms = list(torch._foreach_norm(gradients, 2, dtype=torch.float32)) if gradients else []
        scale = None
        if scaler is not None:
            # The factor stays on the device: asking the scaler for it as a number would wait for the device.
            scale = scaler.scale(torch.ones((), device=self._parameters[0].device))
        self._norms = (present, norms, scale)
        self._before = self._sampled()

    @torch.no_grad()
    def after_update(self) -> None:
        """Take the norms of the weights and of what the update changed."""
        assert self._before is not None
        after = self._sampled()
        change = after - self._before
        present, norms, scale = self._norms
        values = [
            torch.stack(norms) if norms else after.new_zeros(0),
            torch.stack(torch._foreach_norm(after.split(self._sizes))),
            torch.stack(torch._foreach_norm(change.split(self._sizes))),
        ]
        if scale is not None:
            values.append(scale.reshape(1))
        self._pending.append(_Pending(self.step, torch.cat(values), present, scale is not None))
        self._before, self._norms = None, ([], [], None)

    def take(self) -> list[GradientLook]:
        """The looks since the last call. Waits for the device when there are any."""
        pending, self._pending = self._pending, []
        return [self._look(item) for item in pending]

    def _sampled(self) -> Tensor:
        """The first weights of every parameter as they lie in memory, float32, one after the other."""
        return torch.cat(
            [_in_memory_order(parameter, size) for parameter, size in zip(self._parameters, self._sizes, strict=True)]
        ).float()

    def _look(self, pending: _Pending) -> GradientLook:
        values = pending.values.tolist()
        count, found = len(self._parameters), len(pending.present)
        scale = values[-1] if pending.is_scaled else 1.0
        modules = len(self.paths)
        gradient: list[float | None] = [None] * modules
        weight, update = [0.0] * modules, [0.0] * modules
        for index, norm in zip(pending.present, values[:found], strict=True):
            module = self._module_of[index]
            gradient[module] = (gradient[module] or 0.0) + (norm / scale) ** 2
        for index, (sampled, changed) in enumerate(
            zip(values[found : found + count], values[found + count : found + 2 * count], strict=True)
        ):
            module = self._module_of[index]
            share = self._parameters[index].numel() / max(1, self._sizes[index])
            weight[module] += sampled**2 * share
            update[module] += changed**2 * share
        return GradientLook(
            step=pending.step,
            gradient=[None if square is None else _root(square) for square in gradient],
            weight=[_root(square) for square in weight],
            update=[_root(square) for square in update],
        )


def _in_memory_order(parameter: nn.Parameter, size: int) -> Tensor:
    weights = parameter.detach()
    if weights.is_contiguous() or (weights.ndim == 4 and weights.is_contiguous(memory_format=torch.channels_last)):
        return weights.as_strided((size,), (1,))
    return weights.reshape(-1)[:size]


def _root(square: float) -> float:
    return math.sqrt(square) if square >= 0 else math.nan
