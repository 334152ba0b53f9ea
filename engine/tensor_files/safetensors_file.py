"""The header of a safetensors file, checked the way its specification demands.

Source: https://huggingface.co/docs/safetensors (format): 8 bytes length, a JSON object, then the tensors without gaps.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import CheckpointError
from .object_tree import TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

_MAX_HEADER_BYTES = 100_000_000
_MAX_TEXT = 500
_DTYPES = {
    "F64": ("float64", 8),
    "F32": ("float32", 4),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I64": ("int64", 8),
    "I32": ("int32", 4),
    "I16": ("int16", 2),
    "I8": ("int8", 1),
    "U64": ("uint64", 8),
    "U32": ("uint32", 4),
    "U16": ("uint16", 2),
    "U8": ("uint8", 1),
    "BOOL": ("bool", 1),
    "C64": ("complex64", 8),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
}


def read_safetensors_header(file: BinaryIO, size: int) -> tuple[list[TensorInfo], dict[str, str]]:
    """The tensors and the metadata of an open file of `size` bytes. Raises CheckpointError."""
    file.seek(0)
    header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > min(_MAX_HEADER_BYTES, size - 8):
        raise CheckpointError("is damaged or cut short: its header declares an impossible size")
    try:
        header = json.loads(file.read(header_bytes), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise CheckpointError("is damaged: its header is not valid JSON") from error
    if not isinstance(header, dict):
        raise CheckpointError("is damaged: its header is not a JSON object")
    metadata = header.pop("__metadata__", None) or {}
    data_begins = 8 + header_bytes
    tensors = [_tensor(name, entry, data_begins) for name, entry in header.items()]
    _refuse_gaps(tensors, data_begins, size)
    return tensors, {str(key): value[:_MAX_TEXT] for key, value in metadata.items() if isinstance(value, str)}


def safetensors_content(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Iterator[bytes | memoryview]:
    """The bytes of a file, in pieces: header, then each tensor.

    Raises:
        CheckpointError: a tensor of a type that the format lacks.
    """
    import torch

    codes = {name: code for code, (name, _) in _DTYPES.items()}
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in tensors.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype not in codes:
            raise CheckpointError(f"{name}: safetensors has no numbers of type {dtype}")
        begin, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": codes[dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    # Data begin at a multiple of 8, as other writers of the format have it.
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for tensor in tensors.values():
        if tensor.numel():
            yield tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data


def _tensor(name: str, entry: Any, data_begins: int) -> TensorInfo:
    begin, end = entry["data_offsets"]
    shape = entry["shape"]
    if entry["dtype"] not in _DTYPES:
        raise CheckpointError(f"holds a tensor of type {str(entry['dtype'])[:40]}, which torchdeck does not know")
    if any(type(number) is not int or number < 0 for number in (begin, end, *shape)):
        raise CheckpointError("is damaged: its header holds impossible sizes")
    dtype, size = _DTYPES[entry["dtype"]]
    for length in shape:
        size *= length
    if size != end - begin:
        raise CheckpointError(f"is damaged: its tensor {name[:80]!r} declares another size than its shape has")
    strides = tuple(math.prod(shape[index + 1 :]) for index in range(len(shape)))
    return TensorInfo(name, tuple(shape), dtype, size, data_begins + begin, strides)


def _refuse_gaps(tensors: list[TensorInfo], data_begins: int, size: int) -> None:
    end = data_begins
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.bytes)):
        if tensor.offset != end:
            raise CheckpointError("is damaged: its tensors overlap or leave gaps")
        end += tensor.bytes
    if end != size:
        raise CheckpointError("is cut short" if end > size else "is damaged: there is data behind its last tensor")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError when it names a key twice: which value counts would be anyone's guess."""
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a key is repeated")
    return unique
