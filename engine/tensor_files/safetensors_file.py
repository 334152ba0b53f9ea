"""The header of a safetensors file, checked the way its specification demands.

Source: https://huggingface.co/docs/safetensors (format): 8 bytes length, a JSON object, then the tensors without gaps.
The object is read one tensor at a time, so that a header takes about the memory that it has bytes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from ..errors import CheckpointError
from .bounds import MAX_ENTRY_BYTES, MAX_HEADER_BYTES, MAX_TENSORS, check_shape
from .object_tree import TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

_MAX_TEXT = 500
_METADATA = "__metadata__"
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

_SPACE = re.compile(rb"[ \t\r\n]*")
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_GARBLED = "is damaged: its header is not valid JSON"


def read_safetensors_header(file: BinaryIO, size: int) -> tuple[list[TensorInfo], dict[str, str]]:
    """The tensors and the metadata of an open file of `size` bytes. Raises CheckpointError."""
    file.seek(0)
    header_bytes = int.from_bytes(file.read(8), "little")
    if header_bytes > size - 8:
        raise CheckpointError("is damaged or truncated: its header declares an impossible size")
    if header_bytes > MAX_HEADER_BYTES:
        raise CheckpointError(f"its header is larger than {MAX_HEADER_BYTES >> 20} MB")
    header = _Header(file.read(header_bytes))
    data_begins = 8 + header_bytes
    tensors: list[TensorInfo] = []
    metadata: dict[str, str] = {}
    for name in header.names():
        if len(tensors) >= MAX_TENSORS:
            raise CheckpointError(f"contains more than {MAX_TENSORS:,} tensors")
        if name == _METADATA:
            metadata = header.metadata()
        else:
            tensors.append(_tensor(name, header.entry(name), data_begins))
    header.check_end()
    _refuse_gaps(tensors, data_begins, size)
    return tensors, metadata


class _Header:
    """The JSON object of a header, read from front to back."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def names(self) -> Iterator[str]:
        """The names of the object that begins here; the value of each has to be read before the next is asked for."""
        self._take(b"{")
        seen: set[str] = set()
        if not self._next_is(b"}"):
            while True:
                name = self._text()
                self._take(b":")
                if name in seen:
                    # Which of the values counts would be anyone's guess.
                    raise CheckpointError(f"is damaged: its header names {name[:80]!r} twice")
                seen.add(name)
                yield name
                if self._next_is(b"}"):
                    break
                self._take(b",")
        self._at += 1

    def entry(self, name: str) -> Any:
        """Header entry of one tensor, without nested objects."""
        end = self._content.find(b"}", self._at, self._at + MAX_ENTRY_BYTES) + 1
        if not end:
            raise CheckpointError(f"is damaged: what its header says of {name[:80]!r} has no end, or is far too long")
        try:
            value = json.loads(self._content[self._at : end], object_pairs_hook=_without_repeats)
        except (ValueError, RecursionError):
            raise CheckpointError(_GARBLED) from None
        self._at = end
        return value

    def metadata(self) -> dict[str, str]:
        """Text by name, which is what the format allows, each shortened."""
        if not self._next_is(b"{"):
            raise CheckpointError(f"is damaged: its {_METADATA} is not an object of texts")
        found: dict[str, str] = {}
        for name in self.names():
            if not self._next_is(b'"'):
                raise CheckpointError(f"is damaged: {name[:80]!r} in its {_METADATA} is not a text")
            found[name] = self._text()[:_MAX_TEXT]
        return found

    def check_end(self) -> None:
        """Raise CheckpointError when anything but spaces, which fill a header up, stands behind the object."""
        self._skip()
        if self._at != len(self._content):
            raise CheckpointError(_GARBLED)

    def _text(self) -> str:
        self._skip()
        match = _TEXT.match(self._content, self._at)
        if match is None:
            raise CheckpointError(_GARBLED)
        self._at = match.end()
        try:
            text: str = json.loads(match[0])
        except ValueError:
            raise CheckpointError(_GARBLED) from None
        return text

    def _take(self, byte: bytes) -> None:
        if not self._next_is(byte):
            raise CheckpointError(_GARBLED)
        self._at += 1

    def _next_is(self, byte: bytes) -> bool:
        self._skip()
        return self._content[self._at : self._at + 1] == byte

    def _skip(self) -> None:
        match = _SPACE.match(self._content, self._at)
        assert match is not None
        self._at = match.end()


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
            raise CheckpointError(f"{name}: safetensors has no type {dtype}")
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
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise CheckpointError(
            f"is damaged: its header says something else of {name[:80]!r} than type, shape and place"
        )
    shape, place = entry["shape"], entry["data_offsets"]
    if not isinstance(shape, list) or not isinstance(place, list) or len(place) != 2:
        raise CheckpointError("is damaged: its header has impossible sizes")
    if not isinstance(entry["dtype"], str) or entry["dtype"] not in _DTYPES:
        raise CheckpointError(f"contains a tensor of type {str(entry['dtype'])[:40]}, which torchdeck does not know")
    dtype, item_bytes = _DTYPES[entry["dtype"]]
    size = check_shape(shape) * item_bytes
    begin, end = place
    if any(type(number) is not int or number < 0 for number in place) or size != end - begin:
        raise CheckpointError(f"is damaged: its tensor {name[:80]!r} declares a size that differs from its shape")
    strides = tuple(math.prod(shape[index + 1 :]) for index in range(len(shape)))
    return TensorInfo(name, tuple(shape), dtype, size, data_begins + begin, strides)


def _refuse_gaps(tensors: list[TensorInfo], data_begins: int, size: int) -> None:
    end = data_begins
    for tensor in sorted(tensors, key=lambda tensor: (tensor.offset, tensor.bytes)):
        if tensor.offset != end:
            raise CheckpointError("is damaged: its tensors overlap or leave gaps")
        end += tensor.bytes
    if end != size:
        raise CheckpointError("is truncated" if end > size else "is damaged: there is data after its last tensor")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError when it names a key twice."""
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("a key is repeated")
    return unique
