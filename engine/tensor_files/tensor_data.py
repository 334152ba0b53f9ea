"""A tensor out of an open checkpoint, read from the place that the file's tables name: nothing is unpickled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..errors import CheckpointError
from .object_tree import TensorInfo
from .pickled_values import ITEM_BYTES

if TYPE_CHECKING:
    from torch import Tensor


def read_tensor(file: BinaryIO, entry: TensorInfo, path: Path) -> Tensor:
    """One tensor, on the CPU, in memory of its own; `path` is for the messages.

    Raises:
        CheckpointError: the file ends early, or the tensor is of a type that the installed torch lacks.
    """
    import torch

    dtype = getattr(torch, entry.dtype, None)
    if not isinstance(dtype, torch.dtype):
        raise CheckpointError(f"{path}: its tensor {entry.name!r} is of {entry.dtype}, which torch lacks")
    if not entry.bytes:
        return torch.empty(entry.shape, dtype=dtype)
    last = sum((length - 1) * stride for length, stride in zip(entry.shape, entry.strides, strict=True))
    data = bytearray((last + 1) * ITEM_BYTES[entry.dtype])
    file.seek(entry.offset)
    if file.readinto(data) != len(data):  # type: ignore[attr-defined]
        raise CheckpointError(f"{path}: is truncated")
    # A part of a larger tensor, such as a transposed one, is copied; others stay as they were read.
    return torch.frombuffer(data, dtype=dtype).as_strided(entry.shape, entry.strides).contiguous()
