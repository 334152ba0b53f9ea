"""Activation checkpointing: parts of a model whose activations are computed again in the backward pass, not kept.

What is computed is the same to the bit: torch restores its generators for the second forward pass, and buffers that a
forward pass changes, such as running statistics, are changed by the first one only.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.checkpoint import checkpoint

from ..errors import ConfigError, did_you_mean
from .patterns import path_pattern
from .tree.blocks import NOT_CALLED, repeated_blocks
from .tree.walk import walk

BLOCKS = "auto"
"""In place of a pattern: the blocks that a model repeats."""


def recompute_activations(model: nn.Module, patterns: Sequence[str]) -> list[str]:
    """Let parts of a model keep nothing for the backward pass but what goes into them, in place.

    Args:
        model: changed in place; a second call with the same patterns changes nothing.
        patterns: `training.recompute`: names of modules, see `models.patterns`, or "auto" for the blocks that the
            model repeats. Of modules within each other, the outermost is meant.

    Returns:
        Names of the modules, in the order of the tree.

    Raises:
        ConfigError: a pattern that matches no module, or a module that can't be changed.
    """
    found = {path: module for pattern in patterns for path, module in _named(model, pattern)}
    outermost = {path: module for path, module in found.items() if not _has_above(path, found)}
    for path, module in outermost.items():
        if isinstance(module, torch.jit.ScriptModule):
            raise ConfigError(
                f"training.recompute: {path} is a script of torch.jit, whose forward can't be done twice"
            )
        # A bound method, unlike a closure, follows the module when the model is deep-copied.
        object.__setattr__(module, "forward", types.MethodType(_forward_that_is_done_again, module))
    return [visit.path for visit in walk(model) if visit.path in outermost]


def check_recompute_patterns(patterns: Sequence[str]) -> None:
    """Raises ConfigError for an entry of `training.recompute` that is no pattern."""
    for pattern in patterns:
        path_pattern(pattern, f'training.recompute: "{pattern}"')


def _named(model: nn.Module, pattern: str) -> list[tuple[str, nn.Module]]:
    places = [visit for visit in walk(model) if visit.path]
    if pattern == BLOCKS:
        found = repeated_blocks(model)
        if not found:
            raise ConfigError(
                f'training.recompute = ["{BLOCKS}"]: this model repeats no block; name modules, such as "features"'
            )
        return found
    matches = path_pattern(pattern, f'training.recompute: "{pattern}"').fullmatch
    found = [(visit.path, visit.module) for visit in places if matches(visit.path)]
    if not found:
        near = did_you_mean(pattern, [visit.path for visit in places])
        raise ConfigError(f'training.recompute: "{pattern}" matches no module{near}')
    return [(path, module) for path, module in found if not isinstance(module, NOT_CALLED)]


def _has_above(path: str, among: dict[str, nn.Module]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:count]) in among for count in range(1, len(parts)))


def _forward_that_is_done_again(module: nn.Module, *inputs: Any, **named: Any) -> Any:
    """Stands for the module's forward; without gradients, it is that."""
    forward = partial(type(module).forward, module)
    if not torch.is_grad_enabled():
        return forward(*inputs, **named)
    if torch.compiler.is_compiling():
        # The graph changes buffers once.
        return checkpoint(forward, *inputs, use_reentrant=False, **named)
    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=partial(_both_passes, module), **named)


def _both_passes(module: nn.Module) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """What surrounds the first forward pass, and each that does it again."""
    again = _ForwardAgain(module)
    return again.watched(), again


class _ForwardAgain(AbstractContextManager[None]):
    """Has a forward pass begin with the buffers that the first one found, and leaves them as the first one left them.

    Such buffers are the vectors of spectral normalization. Those of normalization layers are left to their momentum,
    which costs nothing: 0 leaves them as they are.
    """

    def __init__(self, module: nn.Module) -> None:
        parts = list(module.modules())
        self._norms = [part for part in parts if isinstance(part, _NormBase) and part.track_running_stats]
        self._buffers = [
            buffer
            for part in parts
            if not isinstance(part, _NormBase)
            for buffer in part._buffers.values()
            if buffer is not None
        ]
        self._before: list[tuple[Tensor, Tensor]] = []
        self._stack = ExitStack()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """The first forward pass."""
        copies = [(buffer, buffer.clone(), buffer._version) for buffer in self._buffers]
        yield
        self._before = [(buffer, copy) for buffer, copy, version in copies if buffer._version != version]

    def __enter__(self) -> None:
        self._stack.callback(_put, [(buffer, buffer.clone()) for buffer, _ in self._before])
        _put(self._before)
        for norm in self._norms:
            self._stack.enter_context(_statistics_kept(norm))

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _put(values: Sequence[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for buffer, value in values:
            buffer.copy_(value)


@contextmanager
def _statistics_kept(norm: _NormBase) -> Iterator[None]:
    momentum, batches = norm.momentum, norm.num_batches_tracked
    norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        norm.momentum, norm.num_batches_tracked = momentum, batches
