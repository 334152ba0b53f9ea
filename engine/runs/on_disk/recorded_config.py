"""`run.toml` of a run that torchdeck only recorded: the settings that another program trained with, as it named them.

    name = "mine"

    [recorded]
    lr = 0.1

They are listed, filtered and compared like settings of torchdeck's own; nothing can be trained from them.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

from ...config.file import MAX_CONFIG_BYTES
from ...config.secret_keys import REDACTED

RECORDED = "recorded"
"""The table of the settings."""

_MAX_DEPTH = 8
_MAX_ITEMS = 2000
_MAX_TEXT = 2000
_LARGEST = 2**63 - 1
_SECRET = re.compile(r"(?:^|[._-])(?:password|passwd|secret|api_?key|token|credentials?)\Z", re.IGNORECASE)


def recorded_toml(name: str, config: object) -> tuple[str, str]:
    """The content of `run.toml`, and what of the config is not in it as a sentence; empty if all of it is.

    Args:
        name: name of the run.
        config: a dict, a dataclass, an argparse.Namespace, a pydantic model, or anything else with attributes.
    """
    import tomlkit

    values, problem = plain_settings(config), ""
    text = tomlkit.dumps({"name": name, RECORDED: values})
    if len(text.encode()) > MAX_CONFIG_BYTES:
        problem = f"the config is larger than {MAX_CONFIG_BYTES >> 20} MB as text and is not recorded"
        text = tomlkit.dumps({"name": name, RECORDED: {}})
    return text, problem


def is_recorded(values: Mapping[str, Any]) -> bool:
    """Whether the content of a `run.toml` is that of a recorded run."""
    return isinstance(values.get(RECORDED), dict)


def settings_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in the content of a `run.toml`: those that another program had, or torchdeck's own."""
    return {"name": values.get("name"), **values[RECORDED]} if is_recorded(values) else dict(values)


def plain_settings(config: object) -> dict[str, Any]:
    """The settings of any program as TOML can hold them. What has no such form is its text; secrets are left out."""
    plain = _plain(config, 0)
    return plain if isinstance(plain, dict) else {} if plain is None else {"config": plain}


def _plain(value: object, depth: int) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return _plain_scalar(value)
    if depth < _MAX_DEPTH:
        if isinstance(value, list | tuple | set | frozenset):
            items = [_plain(item, depth + 1) for item in list(value)[:_MAX_ITEMS]]
            return ["none" if item is None else item for item in items]
        if (fields := _fields(value)) is not None:
            return _plain_table(fields, depth)
    return _cut(str(value))


def _plain_table(fields: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    table = {}
    for key, item in list(fields.items())[:_MAX_ITEMS]:
        name = _cut(str(key))
        plain = REDACTED if _SECRET.search(name) and item else _plain(item, depth + 1)
        if plain is not None:
            table[name] = plain
    return table


def _fields(value: object) -> Mapping[Any, Any] | None:
    """What a value consists of; None for one that is a whole."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)):
        found = dump()
        return found if isinstance(found, Mapping) else None
    # argparse.Namespace, SimpleNamespace: an object of a class that says nothing of itself but its attributes.
    attributes = getattr(value, "__dict__", None)
    if attributes is not None and type(value).__name__.endswith(("Namespace", "Config", "Args", "Arguments")):
        return {name: item for name, item in attributes.items() if not name.startswith("_")}
    return None


def _plain_scalar(value: str | bool | int | float | None) -> Any:
    if isinstance(value, str):
        return _cut(str(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, bool) or value is None:
        return value
    return int(value) if abs(value) <= _LARGEST else str(value)


def _cut(text: str) -> str:
    shown = text.encode("utf-8", "replace").decode()
    return shown if len(shown) <= _MAX_TEXT else f"{shown[:_MAX_TEXT]}…"
