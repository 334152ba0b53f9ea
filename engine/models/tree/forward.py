"""One forward through a model, watched: which modules ran, what came out of each, and how much was computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry
from torch.utils.hooks import RemovableHandle

from ...inputs import Inputs, call_model
from .meta_shapes import known_result
from .prediction import prediction_of
from .walk import walk


@dataclass
class ModuleCalls:
    """Record of one module in a forward pass.

    Attributes:
        calls: how often it ran to its end.
        output_shape: shape of the first tensor that its first call returned; None when it returned none.
        flops: floating-point operations of matrix products and convolutions that it did itself, outside the modules
            it called; a multiply-add counts as two.
    """

    calls: int = 0
    output_shape: list[int] | None = None
    flops: int = 0


@dataclass
class ForwardTrace:
    """Record of a forward pass, up to where it stopped.

    Attributes:
        modules: record of each module, by its first path.
        output_shapes: shapes of the tensors that the model returned; empty when it did not get there.
        prediction_shape: shape of the one among them that is trained; None when there is none. See `prediction_of`.
        error: exception that stopped it; None if it completed.
        stopped_in: path of the innermost module that ran then.
        stopped_input: shapes of the tensors that it was given.
    """

    modules: dict[str, ModuleCalls] = field(default_factory=dict)
    output_shapes: list[list[int]] = field(default_factory=list)
    prediction_shape: list[int] | None = None
    error: Exception | None = None
    stopped_in: str = ""
    stopped_input: list[list[int]] = field(default_factory=list)


def trace_forward(model: nn.Module, inputs: Inputs) -> ForwardTrace:
    """Run a model once, without gradients, in whatever mode its modules are.

    Never raises for what the model does: that ends up in the trace. The model is left without hooks.

    Args:
        model: on the device of the inputs; meta gives shapes and operation counts without computing anything.
        inputs: arguments of its forward: a tuple of positional arguments, or a dict of keyword arguments.
    """
    recorder = _Recorder()
    handles = recorder.attach(model)
    try:
        with torch.no_grad(), _unfused(inputs), _FlopCounter(recorder):
            outputs = call_model(model, inputs)
        recorder.trace.output_shapes = _shapes(outputs)
        prediction = prediction_of(outputs)
        recorder.trace.prediction_shape = list(prediction.shape) if isinstance(prediction, Tensor) else None
    except Exception as error:
        recorder.trace.error = error
        if recorder.running:
            recorder.trace.stopped_in, recorder.trace.stopped_input = recorder.running[-1]
    finally:
        for handle in handles:
            handle.remove()
    return recorder.trace


class _Recorder:
    """Keeps, from hooks on every module, which modules are running."""

    def __init__(self) -> None:
        self.trace = ForwardTrace()
        # Path and input shapes of every module that has begun and not ended, outermost first.
        self.running: list[tuple[str, list[list[int]]]] = []

    def attach(self, model: nn.Module) -> list[RemovableHandle]:
        handles = []
        for visit in walk(model):
            if visit.alias_of is not None:
                continue
            self.trace.modules[visit.path] = ModuleCalls()
            if isinstance(visit.module, torch.jit.ScriptModule):
                continue
            handles.append(visit.module.register_forward_pre_hook(self._begins(visit.path), with_kwargs=True))
            handles.append(visit.module.register_forward_hook(self._ends(visit.path)))
        return handles

    def add_flops(self, flops: int) -> None:
        """Count operations for the innermost module that runs."""
        path = self.running[-1][0] if self.running else ""
        self.trace.modules[path].flops += flops

    def _begins(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, kwargs: Any) -> None:
            self.running.append((path, _shapes((args, kwargs))))

        return hook

    def _ends(self, path: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: Any, output: Any) -> None:
            calls = self.trace.modules[path]
            if not calls.calls:
                calls.output_shape = next(iter(_shapes(output)), None)
            calls.calls += 1
            # A model that caught an exception from a module below leaves that module on the list.
            while self.running and self.running.pop()[0] != path:
                continue

        return hook


class _FlopCounter(TorchDispatchMode):
    """Counts floating-point operations by torch's own formulas."""

    def __init__(self, recorder: _Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        keywords = kwargs or {}
        formula = flop_registry.get(func._overloadpacket) if isinstance(func, OpOverload) else None
        output = known_result(func, args, keywords)
        if formula is None:
            if output is not None:
                return output
            if isinstance(func, OpOverload) and func._can_decompose():
                with self:
                    return func.decompose(*args, **keywords)
            return func(*args, **keywords)
        if output is None:
            output = func(*args, **keywords)
        self._recorder.add_flops(int(formula(*args, **keywords, out_val=output)))
        return output


@contextmanager
def _unfused(inputs: Inputs) -> Iterator[None]:
    """Without fused kernels, which hide the modules and the operations inside them."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    on_meta = all(leaf.is_meta for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor))
    try:
        with nullcontext() if on_meta else torch.backends.mkldnn.flags(enabled=False):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def _shapes(values: Any) -> list[list[int]]:
    return [list(leaf.shape) for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
