"""Read a pickle stream as plain data: nothing in the stream is imported, called or built.

A reader of the part of the pickle protocol that torch.save writes. A class or function stays a name; a tensor becomes
its shape, strides and storage, checked against the storage's size; an object of any other class becomes a
`ForeignObject`. Work and memory are bounded by the stream's length.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from typing import Any

from ..errors import CheckpointError
from .bounds import MAX_CODE_NAMES, MAX_OPERATIONS, MAX_SIZE, CopyBudget, KeyBudget
from .pickled_values import STORAGE_CLASSES, STORAGES, Budgets, ForeignObject, Name, Storage, TensorEntry, described

_MAX_NAME_BYTES = 4096
_MAX_INTEGER_BYTES = 255
# Maximum length of a displayed dict key that is not text.
_SHOWN = 200

_PLAIN_KEYS = (str, bool, type(None), bytes)


class PickleReader:
    """Reads one pickle from a buffer.

    Attributes:
        position: where in the buffer it stands: behind the pickle after `read`.
        names: every class and function that was named.
        storages: every storage that was referred to, by its key.
        odd_keys: whether a dict has keys that an attacker can make slow to look up: floats, integers of more than
            31 bits or very many large ones, tuples of anything but text.
    """

    def __init__(self, buffer: bytes, position: int = 0) -> None:
        self.position = position
        self.names: set[str] = set()
        self.storages: dict[str, Storage] = {}
        self.odd_keys = False
        self._buffer = buffer
        self._budgets = Budgets(KeyBudget(), CopyBudget(len(buffer)))
        self._stack: list[Any] = []
        self._outer_stacks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def read(self) -> Any:
        """The object at the stream's end. Raises CheckpointError."""
        try:
            for _ in range(MAX_OPERATIONS):
                operation = self._buffer[self.position]
                self.position += 1
                if operation == _STOP:
                    return self._stack.pop()
                if operation not in _OPERATIONS:
                    raise CheckpointError(
                        f"contains a pickle operation that torch.save never writes (0x{operation:02x})"
                    )
                _OPERATIONS[operation](self)
        except (IndexError, KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as error:
            reason = "is truncated" if isinstance(error, IndexError | struct.error) else "is garbled"
            raise CheckpointError(f"is damaged: its table of objects {reason}") from None
        raise CheckpointError(f"contains more than {MAX_OPERATIONS:,} pickle operations")

    def _take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self._buffer):
            raise IndexError
        data = self._buffer[self.position : end]
        self.position = end
        return data

    def _unsigned(self, size: int) -> int:
        return int.from_bytes(self._take(size), "little")

    def _line(self) -> str:
        end = self._buffer.index(b"\n", self.position, self.position + _MAX_NAME_BYTES)
        text = self._buffer[self.position : end].decode("utf-8", "backslashreplace")
        self.position = end + 1
        return text

    def _pop_to_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._outer_stacks.pop()
        return items

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _push_text(self, size: int) -> None:
        self._stack.append(self._take(self._unsigned(size)).decode("utf-8", "surrogatepass"))

    def _push_bytes(self, size: int) -> None:
        self._stack.append(self._take(self._unsigned(size)))

    def _push_old_text(self, size: int) -> None:
        self._stack.append(self._take(self._unsigned(size)).decode("latin-1"))

    def _push_integer(self, size: int) -> None:
        count = self._unsigned(size)
        if count > _MAX_INTEGER_BYTES:
            raise ValueError
        self._stack.append(int.from_bytes(self._take(count), "little", signed=True))

    def _push_signed(self) -> None:
        self._stack.append(int.from_bytes(self._take(4), "little", signed=True))

    def _push_float(self) -> None:
        self._stack.append(struct.unpack(">d", self._take(8))[0])

    def _push_tuple(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) != count:
            raise IndexError
        self._stack[-count:] = [items]

    def _push_marked_tuple(self) -> None:
        # In this order: the mark also brings the outer stack back.
        items = tuple(self._pop_to_mark())
        self._stack.append(items)

    def _mark(self) -> None:
        self._outer_stacks.append(self._stack)
        self._stack = []

    def _pop(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_to_mark()

    def _remember(self, number: int) -> None:
        self._memo[number] = self._stack[-1]

    def _recall(self, size: int) -> None:
        self._stack.append(self._memo[self._unsigned(size)])

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise TypeError
        if len(module) + len(name) >= _MAX_NAME_BYTES:
            raise CheckpointError("names a class or function whose name has more than 4,095 characters")
        full = f"{module}.{name}"
        self.names.add(full)
        if len(self.names) > MAX_CODE_NAMES:
            raise CheckpointError(f"names more than {MAX_CODE_NAMES:,} classes and functions")
        self._stack.append(Name(full))

    def _name_from_lines(self) -> None:
        module = self._line()
        self._name(module, self._line())

    def _name_from_stack(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(module, name)

    def _call(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if type(function) is not Name or type(arguments) is not tuple:
            raise TypeError
        self._stack.append(described(function.full, arguments, self._budgets))

    def _new(self, with_keywords: bool) -> None:
        parts = [self._stack.pop() for _ in range(2 if with_keywords else 1)]
        cls = self._stack.pop()
        if type(cls) is not Name:
            raise TypeError
        is_dict = cls.full == "collections.OrderedDict" and parts == [()]
        self._stack.append({} if is_dict else ForeignObject(cls.full, parts))

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if type(target) is ForeignObject:
            target.parts.append(state)
        elif type(target) not in (dict, TensorEntry):
            # A dict's state is the _metadata of a state_dict, a tensor's the attributes somebody gave it.
            raise TypeError

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is list:
            target.extend(items)
        elif type(target) is set:
            target.update(self._key(item) for item in items)
        elif type(target) is ForeignObject:
            target.parts.append(items)
        else:
            raise TypeError

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if len(items) % 2:
            raise IndexError
        pairs = zip(items[::2], items[1::2], strict=True)
        if type(target) is dict:
            for key, value in pairs:
                target[self._key(key)] = value
        elif type(target) is ForeignObject:
            target.parts.append({self._key(key): value for key, value in pairs})
        else:
            raise TypeError

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _key(self, key: Any) -> Any:
        """A key that is safe to hash: hashing tuples nested in each other takes time exponential in their depth."""
        kind = type(key)
        if kind in _PLAIN_KEYS or (kind is int and self._budgets.keys.allows(key)):
            return key
        if kind is tuple and len(key) <= 8 and all(type(item) in (str, bool) for item in key):
            return repr(tuple(item[:_SHOWN] if type(item) is str else item for item in key))[:_SHOWN]
        self.odd_keys = True
        return repr(key)[:_SHOWN] if kind in (int, float) else f"<{kind.__name__}>"

    def _storage(self) -> None:
        reference = self._stack.pop()
        if type(reference) is tuple and reference[:1] == ("module",) and len(reference) == 4:
            # Before torch 1.6, a pickled model's class went with its source file and code.
            if type(reference[1]) is not Name:
                raise TypeError
            self._stack.append(reference[1])
            return
        if type(reference) is not tuple or len(reference) < 5 or reference[0] != "storage":
            raise TypeError
        _, cls, key, _, count = reference[:5]
        if type(cls) is not Name or type(count) is not int or not 0 <= count <= MAX_SIZE:
            raise TypeError
        if cls.full not in STORAGE_CLASSES:
            raise CheckpointError(f"contains a storage of class {cls.full}, which torchdeck does not know")
        storage = Storage(storage_key(key), STORAGES[cls.full.rpartition(".")[2]], count)
        if self.storages.setdefault(storage.key, storage) != storage:
            raise CheckpointError("is damaged: it describes one storage in two ways")
        self._stack.append(storage)


def storage_key(key: Any) -> str:
    """The name of a storage, which is text or, in old files, a number. Raises TypeError for anything else."""
    if type(key) is not str and type(key) is not int:
        # The text of tuples in tuples grows exponentially with their depth.
        raise TypeError
    return str(key[:_SHOWN] if type(key) is str else key)


_Operation = Callable[[PickleReader], None]
_STOP = pickle.STOP[0]
_OPERATIONS: dict[int, _Operation] = {
    code[0]: operation
    for code, operation in {
        pickle.PROTO: lambda reader: reader._take(1) and None,
        pickle.FRAME: lambda reader: reader._take(8) and None,
        pickle.MARK: PickleReader._mark,
        pickle.POP: PickleReader._pop,
        pickle.POP_MARK: lambda reader: reader._pop_to_mark() and None,
        pickle.DUP: lambda reader: reader._push(reader._stack[-1]),
        pickle.BINPUT: lambda reader: reader._remember(reader._unsigned(1)),
        pickle.LONG_BINPUT: lambda reader: reader._remember(reader._unsigned(4)),
        pickle.MEMOIZE: lambda reader: reader._remember(len(reader._memo)),
        pickle.BINGET: lambda reader: reader._recall(1),
        pickle.LONG_BINGET: lambda reader: reader._recall(4),
        pickle.NONE: lambda reader: reader._push(None),
        pickle.NEWTRUE: lambda reader: reader._push(True),
        pickle.NEWFALSE: lambda reader: reader._push(False),
        pickle.BININT: PickleReader._push_signed,
        pickle.BININT1: lambda reader: reader._push(reader._unsigned(1)),
        pickle.BININT2: lambda reader: reader._push(reader._unsigned(2)),
        pickle.LONG1: lambda reader: reader._push_integer(1),
        pickle.LONG4: lambda reader: reader._push_integer(4),
        pickle.BINFLOAT: PickleReader._push_float,
        pickle.BINUNICODE: lambda reader: reader._push_text(4),
        pickle.SHORT_BINUNICODE: lambda reader: reader._push_text(1),
        pickle.BINUNICODE8: lambda reader: reader._push_text(8),
        pickle.BINSTRING: lambda reader: reader._push_old_text(4),
        pickle.SHORT_BINSTRING: lambda reader: reader._push_old_text(1),
        pickle.BINBYTES: lambda reader: reader._push_bytes(4),
        pickle.SHORT_BINBYTES: lambda reader: reader._push_bytes(1),
        pickle.BINBYTES8: lambda reader: reader._push_bytes(8),
        pickle.EMPTY_TUPLE: lambda reader: reader._push(()),
        pickle.EMPTY_LIST: lambda reader: reader._push([]),
        pickle.EMPTY_DICT: lambda reader: reader._push({}),
        pickle.EMPTY_SET: lambda reader: reader._push(set()),
        pickle.TUPLE: lambda reader: reader._push_marked_tuple(),
        pickle.TUPLE1: lambda reader: reader._push_tuple(1),
        pickle.TUPLE2: lambda reader: reader._push_tuple(2),
        pickle.TUPLE3: lambda reader: reader._push_tuple(3),
        pickle.APPEND: lambda reader: reader._extend([reader._stack.pop()]),
        pickle.APPENDS: lambda reader: reader._extend(reader._pop_to_mark()),
        pickle.ADDITEMS: lambda reader: reader._extend(reader._pop_to_mark()),
        pickle.SETITEM: PickleReader._set_item,
        pickle.SETITEMS: lambda reader: reader._set_items(reader._pop_to_mark()),
        pickle.GLOBAL: PickleReader._name_from_lines,
        pickle.STACK_GLOBAL: PickleReader._name_from_stack,
        pickle.REDUCE: PickleReader._call,
        pickle.NEWOBJ: lambda reader: reader._new(with_keywords=False),
        pickle.NEWOBJ_EX: lambda reader: reader._new(with_keywords=True),
        pickle.BUILD: PickleReader._build,
        pickle.BINPERSID: PickleReader._storage,
    }.items()
}
