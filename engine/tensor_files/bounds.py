"""Limits on the contents of a tensor file, shared by all readers, so that memory and time grow with the file.

The numbers are far above what models have: the largest published ones, optimizer state included, stay below 300,000
tensors, and their dicts below 20 levels.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import CheckpointError

MAX_PICKLE_BYTES = 64 << 20
"""The table of objects of a file of torch.save."""
MAX_DIRECTORY_BYTES = 64 << 20
"""The table of contents of a zip archive."""
MAX_HEADER_BYTES = 64 << 20
"""The header of a safetensors file."""
MAX_ENTRY_BYTES = 16 << 10
"""What such a header says about one tensor."""
MAX_TENSORS = 500_000
MAX_OPERATIONS = 4_000_000
"""Operations of a pickle: one to three for each of its objects."""
MAX_CODE_NAMES = 10_000
"""Classes and functions that a pickle names."""
MAX_NAME = 1000
"""Characters of a tensor's dotted name."""
MAX_NAMES_CHARACTERS = 64 << 20
"""Characters of all of a file's dotted names together."""
MAX_DEPTH = 100
"""Levels of dicts and lists."""
MAX_DIMENSIONS = 64
"""What torch allows."""
MAX_SIZE = (1 << 63) - 1
"""The largest length, stride or number of elements that torch can hold."""

MAX_INTEGER_KEY = 1 << 31
"""Hashes of larger integers (and of floats) repeat; keys chosen so make a dict quadratic."""
_SMALL_INTEGER_KEY = 1 << 20
# In tables of fewer keys than this even the worst choice of integers below MAX_INTEGER_KEY takes no time.
_MAX_LARGE_KEYS = 10_000

# A view that repeats its elements costs nothing until it is copied; up to this size together copies are harmless.
_HARMLESS_BYTES = 64 << 20
# Weights that are tied lie in a file once and under several names: the embeddings of a translation model under four.
_MAX_TIES = 8


class KeyBudget:
    """Integers as keys: few enough of those that could be chosen to collide. One for a whole file."""

    def __init__(self) -> None:
        self._large = 0

    def allows(self, key: int) -> bool:
        """Whether a dict or a set may take `key`."""
        if abs(key) < _SMALL_INTEGER_KEY:
            return True
        self._large += 1
        return abs(key) < MAX_INTEGER_KEY and self._large <= _MAX_LARGE_KEYS


class CopyBudget:
    """What calls in a pickle may copy: a value is written once and can be named, three bytes each, without end."""

    def __init__(self, file_bytes: int) -> None:
        self._left = 4 * file_bytes + (1 << 16)

    def take(self, value: Any) -> None:
        """Account for a copy of a text, bytes, list, tuple or dict. Raises CheckpointError."""
        self._left -= len(value)
        if self._left < 0:
            raise CheckpointError("is built to fill the memory: it copies the same values over and over")


def check_shape(shape: Sequence[Any], strides: Sequence[Any] = ()) -> int:
    """The number of elements of a tensor. Raises CheckpointError when no tensor has such sizes."""
    if len(shape) > MAX_DIMENSIONS:
        raise CheckpointError(f"contains a tensor of {len(shape):,} dimensions; {MAX_DIMENSIONS} are allowed")
    if strides and len(strides) != len(shape):
        raise CheckpointError("contains a tensor with impossible sizes")
    count = 1
    for size in (*shape, *strides):
        if type(size) is not int or not 0 <= size <= MAX_SIZE:
            raise CheckpointError("contains a tensor with impossible sizes")
    for length in shape:
        count *= length
    if count > MAX_SIZE:
        raise CheckpointError("contains a tensor with impossible sizes")
    return count


def is_expanded(sizes: Iterable[tuple[int, int]]) -> bool:
    """Whether tensors would fill the memory once they are copied out of their file.

    Args:
        sizes: of each tensor its bytes, and those of the storage that it lies in.
    """
    return sum(own - stored for own, stored in sizes if own > stored) > _HARMLESS_BYTES


def most_copied_bytes(file_bytes: int) -> int:
    """How large the tensors of a file may be together, each on its own, in bytes."""
    return _MAX_TIES * file_bytes + _HARMLESS_BYTES
