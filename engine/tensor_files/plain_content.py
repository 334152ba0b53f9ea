"""Check the contents of a checkpoint: only types that `torch.load(weights_only=True)` opens without an allow-list."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Mapping
from typing import Any

from ..errors import CheckpointError
from .bounds import MAX_DEPTH, KeyBudget

_KEYS = (str, int, bool, type(None), bytes)
_VALUES = (str, int, float, complex, bool, type(None), bytes, bytearray)
# Beyond this torch's unpickler refuses an integer.
_MAX_INTEGER_BITS = 255 * 8 - 1


def check_plain(content: Mapping[str, Any]) -> None:
    """Refuse content that a checkpoint could be written with but not be opened again safely.

    Raises:
        CheckpointError: names the key, such as ``optimizer_state_dict.state.0.path is a PosixPath``.
    """
    import torch

    leaves = (*_VALUES, torch.Tensor, torch.nn.Parameter, torch.dtype, torch.device, torch.Size, torch.layout)
    budget = KeyBudget()
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    while waiting:
        path, value, depth = waiting.pop()
        kind = type(value)
        if depth > MAX_DEPTH:
            raise CheckpointError(f"{path[:200]}… is nested more than {MAX_DEPTH} deep, or holds itself")
        if kind in (dict, OrderedDict, Counter):
            for key, item in value.items():
                _check_key(path, key, budget)
                waiting.append((f"{path}.{key}" if path else str(key), item, depth + 1))
        elif kind in (list, tuple, set):
            for item in value if kind is set else ():
                _check_key(path, item, budget)
            waiting += ((f"{path}[{number}]", item, depth + 1) for number, item in enumerate(value))
        elif kind not in leaves:
            raise CheckpointError(
                f"{path} is a {kind.__name__}; a checkpoint may contain only tensors, numbers, text, and dicts and "
                "lists of them"
            )
        elif kind is int and value.bit_length() > _MAX_INTEGER_BITS:
            raise CheckpointError(f"{path} is an integer of {value.bit_length()} bits, which torch can't read back")


def _check_key(path: str, key: Any, budget: KeyBudget) -> None:
    if type(key) not in _KEYS or (type(key) is int and not budget.allows(key)):
        raise CheckpointError(f"{path or 'the checkpoint'} has a key of type {type(key).__name__}: {key!r}")


def content_bytes(content: Any) -> int:
    """About how large the file of `content` will be, in bytes: its tensors' storages, each once."""
    import torch

    storages: dict[int, int] = {}
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list | tuple):
            waiting += value
        elif isinstance(value, torch.Tensor) and value.layout is torch.strided:
            storage = value.untyped_storage()
            storages[storage.data_ptr()] = storage.nbytes()
    return sum(storages.values()) + 256 * len(storages) + 4096
