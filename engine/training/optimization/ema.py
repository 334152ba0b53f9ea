"""Exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...config import EmaConfig
from ...distributed.sharded_tensors import stored


class AveragedWeights:
    """Averages of the trained weights and of the floating-point buffers, on the model's device.

    After every `every_steps`-th step an average moves by 1 - decay of its distance to the model's own tensor. With
    the warm-up the decay of update `n` (from 1) is at most (1 + n) / (10 + n), so that the first weights, which are
    random, are soon forgotten (`tf.train.ExponentialMovingAverage`). Running statistics of normalization layers are
    averaged as weights are; whole-number buffers and frozen parameters are the model's own.

    Attributes:
        updates: how often the averages were moved.
    """

    def __init__(self, model: nn.Module, config: EmaConfig) -> None:
        """Start from the model's present weights."""
        self.updates = 0
        self._model = model
        self._config = config
        # Tied weights stand in a state_dict under each of their names.
        tensors = {id(tensor): tensor for tensor in _tensors(model).values()}
        self._own = [tensor for tensor in tensors.values() if _is_averaged(tensor)]
        self._averages = [tensor.detach().clone() for tensor in self._own]
        # The model's own values while the averages are in their place, by the tensor that they belong to.
        self._kept: dict[int, Tensor] = {}

    def after_step(self, step: int) -> None:
        """Move the averages, when it is their turn.

        Args:
            step: optimizer steps done, this one included.
        """
        if step % self._config.every_steps:
            return
        self.updates += 1
        decay = self._config.decay
        if self._config.warmup:
            decay = min(decay, (1 + self.updates) / (10 + self.updates))
        with torch.no_grad():
            torch._foreach_lerp_(_stored(self._averages), _stored(self._own), 1 - decay)

    def restart(self) -> None:
        """Restart from the model's current weights."""
        self.updates = 0
        with torch.no_grad():
            torch._foreach_copy_(_stored(self._averages), _stored(self._own))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Give the model the averages as its weights; its own come back at the end, to the bit.

        The values are exchanged and not the tensors, whose addresses a captured graph may hold. What the run is saved
        with meanwhile are the values that `own_value` has.
        """
        self._exchange()
        try:
            yield
        finally:
            kept, self._kept = self._kept, {}
            with torch.no_grad():
                torch._foreach_copy_(_stored(self._own), _stored(kept.values()))

    def own_value(self, tensor: Tensor) -> Tensor:
        """The model's own value of one of its tensors, also while the averages are in place."""
        return self._kept.get(id(tensor), tensor)

    def own_was_loaded(self) -> None:
        """The model has got other values of its own: while the averages are in place, they go back there."""
        if self._kept:
            self._exchange()

    def _exchange(self) -> None:
        self._kept = {id(tensor): tensor.detach().clone() for tensor in self._own}
        with torch.no_grad():
            torch._foreach_copy_(_stored(self._own), _stored(self._averages))

    def state_dict(self) -> dict[str, Tensor]:
        """The model's `state_dict` with the averages in it, under the same names."""
        averages = {id(tensor): average for tensor, average in zip(self._own, self._averages, strict=True)}
        return {name: averages.get(id(tensor), tensor.detach()) for name, tensor in _tensors(self._model).items()}

    def load_state_dict(self, state: dict[str, Any], updates: int) -> None:
        """Restore from `state_dict`.

        Raises:
            KeyError: a tensor is missing.
            RuntimeError: one has another shape.
        """
        self.updates = updates
        names = {id(tensor): name for name, tensor in _tensors(self._model).items()}
        with torch.no_grad():
            for tensor, average in zip(self._own, self._averages, strict=True):
                average.copy_(state[names[id(tensor)]])


def _tensors(model: nn.Module) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = model.state_dict(keep_vars=True)
    return {name: tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}


def _stored(tensors: Iterable[Tensor]) -> list[Tensor]:
    return [stored(tensor) for tensor in tensors]


def _is_averaged(tensor: Tensor) -> bool:
    is_trained = tensor.requires_grad or not isinstance(tensor, nn.Parameter)
    return is_trained and tensor.is_floating_point()
