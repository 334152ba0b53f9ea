"""Values in a pickle of torch.save, as plain data: names of code, storages, tensors, objects of other classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..errors import CheckpointError
from .bounds import CopyBudget, KeyBudget, check_shape

STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "UntypedStorage": "uint8",
}
ITEM_BYTES = {
    "float64": 8, "float32": 4, "float16": 2, "bfloat16": 2,
    "int64": 8, "int32": 4, "int16": 2, "int8": 1,
    "uint64": 8, "uint32": 4, "uint16": 2, "uint8": 1, "bool": 1,
    "complex128": 16, "complex64": 8, "complex32": 4,
    "float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
}  # fmt: skip
STORAGE_CLASSES = {f"torch.{name}" for name in STORAGES} | {"torch.storage.UntypedStorage"}


@dataclass(slots=True, frozen=True)
class Name:
    """A class or function that the stream names."""

    full: str


@dataclass(slots=True)
class ForeignObject:
    """An object that only code could rebuild. `parts` is what the stream says about it."""

    name: str
    parts: list[Any] = field(default_factory=list)


@dataclass(slots=True, frozen=True)
class PlainObject:
    """A value of torch that is not a tensor and holds nothing: a device, a layout."""

    text: str


@dataclass(slots=True, frozen=True)
class Storage:
    """The memory that tensors lie in: which entry of the file, of how many elements."""

    key: str
    dtype: str
    count: int

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.count * ITEM_BYTES[self.dtype]


@dataclass(slots=True, frozen=True)
class TensorEntry:
    """A tensor as the stream describes it; offset and strides count elements of its type."""

    dtype: str
    shape: tuple[int, ...]
    storage: Storage
    offset: int
    strides: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Size of its elements, were each stored once."""
        count = ITEM_BYTES[self.dtype]
        for length in self.shape:
            count *= length
        return count


@dataclass(slots=True, frozen=True)
class Budgets:
    """What one pickle has left of what it may take."""

    keys: KeyBudget
    copies: CopyBudget


def described(function: str, arguments: tuple[Any, ...], budgets: Budgets) -> Any:
    """What calling `function` would give, as data. Raises CheckpointError when that would be too much of it."""
    first = arguments[0] if arguments else None
    if function == "collections.OrderedDict" and not arguments:
        return {}
    if function == "collections.Counter" and type(first) is dict:
        budgets.copies.take(first)
        return dict(first)
    if function in ("torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor"):
        return _tensor(*arguments[:4])
    if function == "torch._utils._rebuild_tensor_v3":
        storage, offset, shape, strides, _, _, dtype = arguments[:7]
        return _tensor(storage, offset, shape, strides, dtype)
    if function in ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state"):
        return first if type(first) is TensorEntry else _foreign(function, arguments, budgets)
    if function == "torch._tensor._rebuild_from_type_v2":
        rebuild, cls, parts = arguments[:3]
        if type(rebuild) is Name and cls in (Name("torch.Tensor"), Name("torch.nn.parameter.Parameter")):
            return _rebuilt(rebuild.full, parts, budgets) if type(parts) is tuple else ForeignObject(function)
    if function == "torch.Size" and type(first) is tuple:
        return first
    if function in ("torch.device", "torch.serialization._get_layout") and type(first) is str:
        return PlainObject(f"{function.rpartition('.')[2]} {first[:80]}")
    return _described_builtin(function, arguments, budgets)


def _rebuilt(function: str, parts: tuple[Any, ...], budgets: Budgets) -> Any:
    """The tensor of a subclass, which is one of the other calls; that it were such a call again is never written."""
    if function == "torch._tensor._rebuild_from_type_v2":
        return ForeignObject(function)
    return described(function, parts, budgets)


def _foreign(function: str, arguments: tuple[Any, ...], budgets: Budgets) -> ForeignObject:
    budgets.copies.take(arguments)
    return ForeignObject(function, list(arguments))


def _described_builtin(function: str, arguments: tuple[Any, ...], budgets: Budgets) -> Any:
    """What calling a function of Python itself would give, where that is a plain value of bounded size."""
    first = arguments[0] if arguments else None
    module, _, name = function.rpartition(".")
    if function == "_codecs.encode" and type(first) is str:
        budgets.copies.take(first)
        return first.encode("latin-1", "replace")
    if module in ("builtins", "__builtin__"):
        if name == "set" and type(first) is list:
            budgets.copies.take(first)
            if all(type(item) in (str, bool, bytes) or _is_key(item, budgets.keys) for item in first):
                return set(first)
        if name == "bytearray" and (not arguments or type(first) in (str, bytes)):
            budgets.copies.take(first or b"")
            return first.encode("latin-1", "replace") if type(first) is str else bytes(first or b"")
        if name == "complex" and all(type(item) in (int, float) for item in arguments):
            return complex(*arguments)
    return _foreign(function, arguments, budgets)


def _is_key(item: Any, keys: KeyBudget) -> bool:
    return type(item) is int and keys.allows(item)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, dtype: Any = None) -> TensorEntry:
    """A tensor that lies wholly in its storage. Raises CheckpointError otherwise."""
    is_plain = type(shape) in (tuple, list) and type(strides) in (tuple, list)
    if type(storage) is not Storage or type(offset) is not int or not is_plain:
        raise TypeError
    check_shape(shape, strides)
    if len(shape) != len(strides) or offset < 0:
        raise CheckpointError("contains a tensor with impossible sizes")
    kind = dtype.full.removeprefix("torch.") if type(dtype) is Name else storage.dtype
    if kind not in ITEM_BYTES:
        raise CheckpointError(f"contains a tensor of type {kind[:80]}, which torchdeck does not know")
    last = offset + sum((length - 1) * stride for length, stride in zip(shape, strides, strict=True))
    if all(shape) and (last + 1) * ITEM_BYTES[kind] > storage.bytes:
        raise CheckpointError("contains a tensor that reaches outside of its storage")
    return TensorEntry(kind, tuple(shape), storage, offset, tuple(strides))
