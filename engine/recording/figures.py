"""Figures of any library as numbers: taken in the training's thread, read in the recorder's."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

PLAIN = frozenset((float, int, bool))
"""Types of figures that need no look."""

_MOST_DEEP = 4


class OnDevice(NamedTuple):
    """A copy of a tensor on a GPU, and the event after which it holds its value; None where there are no events."""

    tensor: Any
    ready: Any


class NotANumber(NamedTuple):
    """A figure that can't be recorded."""

    reason: str


def taken(value: Any) -> Any:
    """A figure as it is at this moment, without waiting for a device. Costs nothing to plain numbers."""
    detach = getattr(value, "detach", None)
    if detach is not None:
        if value.numel() != 1:
            return NotANumber(f"a tensor of shape {list(value.shape)} is not one number")
        return _taken_tensor(detach())
    if isinstance(value, Mapping):
        return {key: item if type(item) in PLAIN else taken(item) for key, item in value.items()}
    if type(value).__module__ == "numpy":
        # It may be changed in place by the next step.
        return float(value)
    return value


def _taken_tensor(tensor: Any) -> Any:
    if tensor.device.type == "cpu":
        return tensor.item()
    ready = None
    if tensor.device.type == "cuda":
        torch: Any = sys.modules["torch"]
        copy = tensor.clone()
        # The recorder's thread has another stream, which would not wait for this one.
        ready = torch.cuda.Event()
        ready.record(torch.cuda.current_stream(tensor.device))
        return OnDevice(copy, ready)
    return OnDevice(tensor.clone(), ready)


def numbers_in(values: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, float | NotANumber]]:
    """The figures of an entry by name; one in a table within it has both names, joined by a slash."""
    for name, value in values.items():
        if isinstance(value, Mapping) and depth < _MOST_DEEP:
            yield from ((f"{name}/{inner}", found) for inner, found in numbers_in(value, depth + 1))
        else:
            yield str(name), _number_of(value)


def _number_of(value: Any) -> float | NotANumber:
    if isinstance(value, NotANumber):
        return value
    try:
        if isinstance(value, OnDevice):
            if value.ready is not None:
                value.ready.synchronize()
            value = value.tensor.item()
        return float(value) if not isinstance(value, str) else NotANumber(f"{value[:40]!r} is text")
    except Exception as error:
        # Whatever a library raises of a value that is not a number must not end the recording.
        return NotANumber(f"{type(value).__name__}: {error}"[:200])
