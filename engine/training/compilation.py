"""torch.compile on a live model: in place, with its outcome told and a visible way back when it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException

Result = TypeVar("Result")


@dataclass(frozen=True)
class CompileOutcome:
    """How compiling went.

    Attributes:
        succeeded: whether the model runs compiled from here on.
        seconds: until the first step was done.
        reason: why it failed, one line; empty when it succeeded.
    """

    succeeded: bool
    seconds: float
    reason: str = ""

    @property
    def sentence(self) -> str:
        """For the screen."""
        if self.succeeded:
            return f"compiled in {self.seconds:.1f} s"
        return f"compile failed, running eager: {self.reason}"


def compile_with_first_step(
    model: nn.Module, mode: str, first_step: Callable[[], Result]
) -> tuple[Result, CompileOutcome]:
    """Compile `model` in place and do the first step, which is when torch compiles.

    In place, because `torch.compile(model)` would put `_orig_mod.` before every name in its state_dict. When
    compiling fails the model is set back to eager and the step done again.

    Args:
        model: the model that `first_step` trains.
        mode: a mode of torch.compile.
        first_step: seeds the step, does it, and returns what it made.
    """
    began = time.perf_counter()
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    model.compile(mode=None if mode == "default" else mode)
    try:
        result = first_step()
    except TorchDynamoException as error:
        model._compiled_call_impl = None
        model.zero_grad(set_to_none=True)
        # The step that failed may have run a part of the model: batch norm must not count its batch twice.
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        return first_step(), CompileOutcome(False, time.perf_counter() - began, _reason(error))
    return result, CompileOutcome(True, time.perf_counter() - began)


def _reason(error: Exception) -> str:
    """What went wrong, in one line: the compiler's own exception inside torch's wrapper around it."""
    cause = getattr(error, "inner_exception", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return f"{type(cause).__name__}: {lines[0] if lines else ''}"
