"""A checkpoint's objects laid out flat: tensors and plain values by dotted name, and what hinders loading them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CheckpointError
from .bounds import MAX_DEPTH, MAX_NAME, MAX_NAMES_CHARACTERS, MAX_TENSORS, is_expanded
from .pickle_tree import PickleReader
from .pickled_values import ITEM_BYTES, ForeignObject, Name, PlainObject, TensorEntry

_MAX_VALUES = 100_000
_MAX_TEXT = 500
_LONG_LIST = 64

# What torch.load(weights_only=True) resolves and `PickleReader` turns into data.
_KNOWN_NAMES = {
    "collections.OrderedDict",
    "collections.Counter",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_tensor_v3",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._tensor._rebuild_from_type_v2",
    "torch.nn.parameter.Parameter",
    "torch.Tensor",
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    "torch.storage.UntypedStorage",
    "_codecs.encode",
    *(f"{module}.{name}" for module in ("builtins", "__builtin__") for name in ("set", "bytearray", "complex")),
    *(f"torch.{dtype}" for dtype in ITEM_BYTES),
}


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file.

    Attributes:
        name: dotted path to it.
        shape: its sizes.
        dtype: torch's name of its element type, without "torch.".
        bytes: size of its elements.
        offset: where its first element lies in the file.
        strides: elements from one index to the next in each dimension.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    offset: int
    strides: tuple[int, ...]


@dataclass
class Contents:
    """Contents of a tree of objects; same fields as `CheckpointReport`."""

    tensors: list[TensorInfo] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    epoch: int | None = None
    step: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    config: str = ""
    foreign: list[str] = field(default_factory=list)
    oversized: str = ""


def contents_of(tree: Any, reader: PickleReader, begins: Mapping[str, int]) -> Contents:
    """Lay out what `reader` has read, with the place in the file where each storage begins, by its key.

    Raises:
        CheckpointError: there is more of it than a checkpoint can need.
    """
    contents = Contents()
    foreign = {name for name in reader.names if name not in _KNOWN_NAMES and not name.endswith("Storage")}
    largest: tuple[int, str] = (0, "")
    sizes: list[tuple[int, int]] = []
    for name, value in _leaves(tree):
        if type(value) is TensorEntry:
            if len(contents.tensors) >= MAX_TENSORS:
                raise CheckpointError(f"contains more than {MAX_TENSORS:,} tensors")
            offset = begins[value.storage.key] + value.offset * ITEM_BYTES[value.dtype]
            contents.tensors.append(TensorInfo(name, value.shape, value.dtype, value.bytes, offset, value.strides))
            sizes.append((value.bytes, value.storage.bytes))
            largest = max(largest, (value.bytes - value.storage.bytes, name))
        elif type(value) is ForeignObject:
            foreign.add(value.name)
            _add_value(contents, name or "(the whole file)", f"<{value.name[:_MAX_TEXT]}>")
        else:
            _add_value(contents, name, value)
    if is_expanded(sizes):
        contents.oversized = largest[1]
    if reader.odd_keys:
        foreign.add("dict keys other than text and integers")
    contents.foreign = sorted(foreign)
    if isinstance(tree, dict):
        _fill_in_known_keys(contents, tree)
    return contents


def _leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """Every tensor, plain value and foreign object with its dotted name, in the file's order."""
    seen: set[int] = set()
    characters = 0
    waiting: list[tuple[str, Any, int]] = [("", tree, 0)]
    while waiting:
        name, value, depth = waiting.pop()
        kind = type(value)
        if kind not in (dict, list, tuple, ForeignObject):
            yield name, value
            continue
        if depth > MAX_DEPTH:
            raise CheckpointError(f"is nested more than {MAX_DEPTH} deep")
        if id(value) in seen:
            continue
        seen.add(id(value))
        if _is_long_list(value):
            yield name, f"<{len(value)} values>"
            continue
        if kind is ForeignObject:
            yield name, value
        parts = value.parts if kind is ForeignObject else value
        # Before they are made: a long name is repeated for every part.
        characters += len(parts) * len(name)
        if characters > MAX_NAMES_CHARACTERS:
            raise CheckpointError("is built to fill the memory: the names of its values are longer than the file")
        items: list[tuple[str, Any]]
        if kind is ForeignObject:
            items = [(name, part) for part in parts]
        elif kind is dict:
            items = [(_joined(name, key), item) for key, item in value.items()]
        else:
            items = [(_joined(name, number), item) for number, item in enumerate(value)]
        characters += sum(len(item_name) for item_name, _ in items) - len(items) * len(name)
        waiting += ((item_name, item, depth + 1) for item_name, item in reversed(items))


def _is_long_list(value: Any) -> bool:
    """Whether it is a list of numbers or strings that is too long to show item by item."""
    is_list = type(value) in (list, tuple) and len(value) > _LONG_LIST
    return is_list and all(type(item) in (int, float, str, bool) for item in value)


def _joined(name: str, key: object) -> str:
    text = str(key[:MAX_NAME] if isinstance(key, str | bytes) else key)[:MAX_NAME]
    return (f"{name}.{text}" if name else text)[:MAX_NAME]


def _add_value(contents: Contents, name: str, value: Any) -> None:
    if len(contents.values) >= _MAX_VALUES:
        return
    if isinstance(value, str):
        value = value[:_MAX_TEXT]
    elif isinstance(value, PlainObject):
        value = value.text
    elif isinstance(value, Name):
        value = value.full
    elif isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        value = f"<an integer of {value.bit_length()} bits>"
    elif not isinstance(value, int | float | bool | None):
        value = f"<{type(value).__name__}>"
    contents.values[name] = value


def _fill_in_known_keys(contents: Contents, tree: dict[Any, Any]) -> None:
    contents.keys = [str(key)[:MAX_NAME] for key in tree]
    position = tree.get("position")
    steps = [position.get("step") if isinstance(position, dict) else None, tree.get("step"), tree.get("global_step")]
    contents.epoch = _whole(tree.get("epoch"))
    contents.step = next((step for value in steps if (step := _whole(value)) is not None), None)
    metrics = tree.get("metrics")
    if isinstance(metrics, dict):
        contents.metrics = {
            str(name)[:MAX_NAME]: float(value)
            for name, value in metrics.items()
            if type(value) is float or _whole(value) is not None
        }
    config = tree.get("config")
    if "torchdeck_format" in tree and isinstance(config, str):
        contents.config = config


def _whole(value: Any) -> int | None:
    return value if type(value) is int and abs(value) < 1 << 53 else None
