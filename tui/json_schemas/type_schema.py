"""JSON Schema of Python types: dataclasses and typed dictionaries, and what they are made of.

Descriptions are those of the `Attributes` in the docstrings. pydantic's own schemas are not used: it refuses a
`typing.TypedDict` on Python 3.11, and what it writes depends on its version.

A type describes what `torchdeck.tui.verbs.output.print_json` prints of its values: a float that is NaN or infinite
becomes null, so every float may be null.
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

Schema = dict[str, Any]

_PLAIN: dict[Any, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},
    str: {"type": "string"},
    Path: {"type": "string"},
    types.NoneType: {"type": "null"},
    Any: {},
}
_ATTRIBUTE = re.compile(r"(\w+): (.*)")
# How Python and JSON name the same.
_NULL = re.compile(r"\b(None|NaN)\b|\binfinite(?= if\b)")


@dataclass(frozen=True)
class Joined:
    """An object that has the keys of several types.

    Attributes:
        name: name of the object's definition.
        parts: dataclasses and typed dictionaries, in the order of their keys.
        without: keys of theirs that the object lacks.
        replaced: what keys hold where the type does not say it.
        others: what further keys, named by the data, may hold; None where there are none.
    """

    name: str
    parts: Sequence[type]
    without: Sequence[str] = ()
    replaced: Mapping[str, Spec] = field(default_factory=dict)
    others: Spec | None = None


@dataclass(frozen=True)
class ListOf:
    """A list.

    Attributes:
        item: what each entry is.
    """

    item: Spec


@dataclass(frozen=True)
class Named:
    """An object whose keys are named by the data.

    Attributes:
        value: what each key holds.
    """

    value: Spec


@dataclass(frozen=True)
class Kinds:
    """One of several kinds of values.

    Attributes:
        kinds: what it may be.
        keyword: "oneOf" where a value is never of two kinds, else "anyOf".
    """

    kinds: Sequence[Spec]
    keyword: Literal["oneOf", "anyOf"] = "oneOf"


Spec = type | Joined | ListOf | Named | Kinds
"""What a schema is made of: a type, or several types put together."""


class TypeSchemas:
    """Schemas of types, with those of objects in one table of definitions.

    Attributes:
        definitions: schema of each object by name.
    """

    def __init__(self, names: Mapping[str, Any]) -> None:
        """Begin without definitions.

        Args:
            names: types that modules import for type checking only, by name.
        """
        self.definitions: dict[str, Schema] = {}
        self._names = dict(names)
        self._owners: dict[str, Any] = {}

    def schema(self, spec: Any) -> Schema:
        """The schema of a type, or of several put together. Raises TypeError for a type that it does not know."""
        if isinstance(spec, ListOf):
            return {"type": "array", "items": self.schema(spec.item)}
        if isinstance(spec, Named):
            return {"type": "object", "additionalProperties": self.schema(spec.value)}
        if isinstance(spec, Kinds):
            return {spec.keyword: [self.schema(kind) for kind in spec.kinds]}
        if isinstance(spec, Joined):
            return self._defined(spec.name, spec)
        if spec in _PLAIN:
            return dict(_PLAIN[spec])
        if isinstance(spec, type) and (is_dataclass(spec) or is_typeddict(spec)):
            return self._defined(spec.__name__, spec)
        return self._generic(spec, get_origin(spec), get_args(spec))

    def _generic(self, spec: Any, origin: Any, arguments: tuple[Any, ...]) -> Schema:
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return _union([self.schema(argument) for argument in arguments])
        if origin is dict:
            return {"type": "object", "additionalProperties": self.schema(arguments[1])}
        if origin is list or (origin is tuple and arguments[-1] is Ellipsis):
            return {"type": "array", "items": self.schema(arguments[0])}
        if origin is tuple:
            count = len(arguments)
            entries = [self.schema(argument) for argument in arguments]
            return {"type": "array", "prefixItems": entries, "minItems": count, "maxItems": count}
        raise TypeError(f"{spec}: no JSON Schema is known for it")

    def _defined(self, name: str, owner: Any) -> Schema:
        if self._owners.setdefault(name, owner) is not owner:
            raise TypeError(f"{name}: two objects have this name")
        if name not in self.definitions:
            self.definitions[name] = {}
            joined = owner if isinstance(owner, Joined) else Joined(name, [owner])
            self.definitions[name] = self._object(joined)
        return {"$ref": f"#/$defs/{name}"}

    def _object(self, joined: Joined) -> Schema:
        properties: dict[str, Schema] = {}
        required: list[str] = []
        for part in joined.parts:
            descriptions = attribute_descriptions(part)
            for key, (annotation, is_required) in _keys(part, self._names).items():
                if key not in joined.without:
                    value = self.schema(joined.replaced.get(key, annotation))
                    properties[key] = {"description": descriptions.get(key, ""), **value}
                    required += [key] if is_required else []
        schema: Schema = {"description": _summary(joined.parts[0]), "type": "object", "properties": properties}
        if required:
            schema["required"] = required
        if joined.others is not None:
            schema["additionalProperties"] = self.schema(joined.others)
        return schema


def attribute_descriptions(cls: type) -> dict[str, str]:
    """The descriptions of a class's attributes, in its docstring and those of its bases, as JSON names things."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _attributes_of(inspect.cleandoc(base.__doc__ or "")) if base is not object else {}
    return {name: _NULL.sub("null", text) for name, text in found.items()}


def _attributes_of(docstring: str) -> dict[str, str]:
    """The entries below `Attributes:`; what is indented further continues the previous line."""
    lines = docstring.partition("Attributes:\n")[2].splitlines()
    found: dict[str, str] = {}
    name = ""
    for line in lines:
        if not line.startswith("    "):
            break
        entry = _ATTRIBUTE.fullmatch(line[4:])
        if entry is not None:
            name = entry[1]
            found[name] = entry[2]
        elif name:
            found[name] += f" {line.strip()}"
    return found


def _summary(cls: type) -> str:
    text = inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0]
    return _NULL.sub("null", " ".join(text.split()))


def _keys(cls: type, names: Mapping[str, Any]) -> dict[str, tuple[Any, bool]]:
    """The keys of a type in their order, each with the type of its value and whether it is always there."""
    hints = get_type_hints(cls, localns=dict(names), include_extras=True)
    if is_dataclass(cls):
        return {part.name: (hints[part.name], True) for part in fields(cls)}
    always: frozenset[str] = cls.__required_keys__  # type: ignore[attr-defined]
    found = {}
    for key, hint in hints.items():
        mark = get_origin(hint)
        is_marked = mark in (Required, NotRequired)
        # Of annotations that are texts, Python 3.11 does not see the mark.
        is_required = mark is Required if is_marked else key in always
        found[key] = (get_args(hint)[0] if is_marked else hint, is_required)
    return found


def _union(schemas: list[Schema]) -> Schema:
    """One schema for values of several: a list of types, or of allowed values, where that says it all."""
    if all(schema.keys() == {"type"} for schema in schemas):
        named: dict[str, None] = {}
        for schema in schemas:
            kinds = schema["type"]
            named |= dict.fromkeys([kinds] if isinstance(kinds, str) else kinds)
        return {"type": list(named)}
    if {} in schemas:
        return {}
    return {"anyOf": schemas}
