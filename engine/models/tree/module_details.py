"""Details of one module: its own tensors, their type, and its documentation."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

_LONGEST_DOC = 400
_LONGEST_DOCSTRING = 20_000
# Where the descriptions of arguments, formulas and shapes begin, in torch's docstrings and in most others.
_DOC_ENDS = re.compile(
    r"^(Args?|Arguments|Parameters|Shape|Inputs?|Examples?|Attributes|Returns)\s*:|^\.\. |^\* |^>>>"
)


@dataclass(frozen=True)
class TensorRow:
    """A parameter or a buffer of a module.

    Attributes:
        name: within its module.
        shape: None if unknown until the first forward pass.
        dtype: such as float32.
        bytes: bytes of memory; 0 if the shape is unknown.
        trainable: whether it is trained.
        persistent: whether it is part of the state_dict, as every parameter is.
    """

    name: str
    shape: list[int] | None
    dtype: str
    bytes: int
    trainable: bool
    persistent: bool


def parameter_rows(module: nn.Module) -> list[TensorRow]:
    """A module's own parameters."""
    return [_tensor_row(name, tensor, True) for name, tensor in module._parameters.items() if tensor is not None]


def buffer_rows(module: nn.Module) -> list[TensorRow]:
    """A module's own buffers."""
    unsaved = module._non_persistent_buffers_set
    return [
        _tensor_row(name, tensor, name not in unsaved)
        for name, tensor in module._buffers.items()
        if tensor is not None
    ]


def attribute_rows(module: nn.Module) -> list[TensorRow]:
    """Tensors that are plain attributes of a module: not moved to the device with it, and in no checkpoint."""
    plain = {name: value for name, value in vars(module).items() if isinstance(value, Tensor)}
    return [_tensor_row(name, tensor, False) for name, tensor in plain.items()]


def common_dtype(tensors: Iterable[TensorRow]) -> str:
    """The type of the tensors, "mixed" for several, empty for none."""
    found = {tensor.dtype for tensor in tensors}
    return "mixed" if len(found) > 1 else next(iter(found), "")


def docstring(kind: type[nn.Module]) -> str:
    """A module's own docstring as it is written, without its indentation; empty where it has none."""
    written = kind.__dict__.get("__doc__")
    return inspect.cleandoc(written)[:_LONGEST_DOCSTRING] if isinstance(written, str) else ""


def documentation(kind: type[nn.Module]) -> str:
    """The first paragraphs of a module's own docstring, as plain text; empty where it has none."""
    lines: list[str] = []
    for line in docstring(kind).splitlines():
        if _DOC_ENDS.match(line):
            break
        lines.append(line)
    paragraphs = [" ".join(part.split()) for part in "\n".join(lines).split("\n\n")]
    text = "\n".join(part for part in paragraphs if part)
    text = re.sub(r":[\w:]+:`~?([^`<]*?)(?:\s*<[^`]*>)?`", r"\1", text)
    text = re.sub(r"`([^`<]*?)\s*<[^`]*>`_+", r"\1", text).replace("`", "")
    return text if len(text) <= _LONGEST_DOC else text[: _LONGEST_DOC - 1].rstrip() + "…"


def _tensor_row(name: str, tensor: Tensor, persistent: bool) -> TensorRow:
    is_known = not is_lazy(tensor)
    return TensorRow(
        name=name,
        shape=list(tensor.shape) if is_known else None,
        dtype=str(tensor.dtype).removeprefix("torch."),
        bytes=tensor.numel() * tensor.element_size() if is_known else 0,
        trainable=isinstance(tensor, nn.Parameter) and tensor.requires_grad,
        persistent=persistent,
    )
