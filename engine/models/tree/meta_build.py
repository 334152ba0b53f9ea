"""Building a model without allocating its weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from .meta_shapes import filled_without_values
from .walk import walk

# What fills a tensor with no values, or with random ones: a constructor that computes with those values can't exist.
_VALUELESS = frozenset({torch.empty, torch.rand, torch.randn, torch.empty_strided})


class ValuelessOnMeta(TorchFunctionMode):
    """Tensors made without values, as the weights of every layer are, go to the meta device.

    Constants keep their values, so that constructors that compute with them (`torch.linspace(…).tolist()`) work,
    which they don't under `torch.device("meta")`. Holds for the current thread.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Divert the functions that make tensors without values."""
        keywords = kwargs or {}
        if func in _VALUELESS and "out" not in keywords:
            keywords = {**keywords, "device": "meta"}
            keywords.pop("generator", None)
            keywords.pop("pin_memory", None)
        filled = filled_without_values(func, args, keywords)
        return filled if filled is not None else func(*args, **keywords)


def build_weightless(make: Callable[[], nn.Module]) -> nn.Module:
    """What `make` returns, with all parameters and buffers on meta.

    Some constructors copy values from one tensor to another, or run a forward: those are built wholly on meta.

    Raises:
        Exception: exception of the first call of `make`.
    """
    try:
        with ValuelessOnMeta():
            model = make()
    except Exception as error:
        try:
            with torch.device("meta"):
                model = make()
        except Exception:
            raise error from None
    move_to_meta(model)
    return model


def move_to_meta(model: nn.Module) -> None:
    """Replace every parameter and buffer by one on meta, in place; shared ones stay shared."""
    replace_tensors(model, lambda tensor: tensor if tensor.is_meta else tensor.detach().to("meta"))


def replace_tensors(model: nn.Module, make: Callable[[torch.Tensor], torch.Tensor]) -> None:
    """Replace every parameter and buffer whose shape is known by what `make` makes of it, in place.

    Shared ones stay shared; parameters stay parameters, trained or not as before.
    """
    replaced: dict[int, torch.Tensor] = {}
    kept_alive: list[torch.Tensor] = []
    for visit in walk(model):
        for tensors in (visit.module._parameters, visit.module._buffers):
            for name, tensor in tensors.items():
                if tensor is None or is_lazy(tensor):
                    continue
                if id(tensor) not in replaced:
                    # An id is only unique while its tensor lives.
                    kept_alive.append(tensor)
                    new = make(tensor)
                    if new is not tensor and isinstance(tensor, nn.Parameter):
                        new = nn.Parameter(new, tensor.requires_grad)
                    replaced[id(tensor)] = new
                tensors[name] = replaced[id(tensor)]  # type: ignore[assignment]
