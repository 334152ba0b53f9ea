"""Changes to a config as Python keywords: `training__epochs=3`, or `epochs=3` where only one setting ends so."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from ..errors import ConfigError, did_you_mean
from .file import is_text_field
from .run import RunConfig


def as_overrides(changes: Mapping[str, Any]) -> list[str]:
    """The `KEY=VALUE` assignments that `load_config` takes, from Python keywords.

    Args:
        changes: values by setting. A setting is its dotted key ("training.epochs"), the same with two underscores for
            each dot ("training__epochs"), or its last part alone where only one setting ends so ("epochs").

    Raises:
        ConfigError: an unknown or ambiguous setting, or a value that TOML can't hold.
    """
    return [
        f"{key}={_text(key, value)}" for key, value in ((full_key(name), value) for name, value in changes.items())
    ]


def full_key(name: str) -> str:
    """The dotted key that a keyword stands for. Raises ConfigError where none or several settings are meant."""
    key = name.replace("__", ".")
    if "." in key or key in RunConfig.model_fields:
        return key
    keys = list(_setting_keys())
    fitting = [known for known in keys if known.rpartition(".")[2] == key]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        choices = ", ".join(key.replace(".", "__") for key in fitting)
        raise ConfigError(f"{name}: several settings end so; write one of {choices}")
    known = sorted({known.rpartition(".")[2] for known in keys})
    raise ConfigError(f"{name}: unknown setting{did_you_mean(name, known)}")


def _setting_keys() -> Iterator[str]:
    for section, field in RunConfig.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            for name in field.annotation.model_fields:
                yield f"{section}.{name}"


def _text(key: str, value: Any) -> str:
    """A value as it stands after `KEY=`."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str) and is_text_field(key.split(".")):
        return value
    try:
        return tomlkit.item(_plain(value)).as_string()
    except (TOMLKitError, ValueError) as error:
        allowed = "a config holds numbers, text, lists and tables only"
        raise ConfigError(f"{key} = {value!r}: {allowed}: {error}") from error


def _plain(value: Any) -> Any:
    """`value` with paths as text and tuples as lists, at any depth; tables are written on one line."""
    import tomlkit

    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        table = tomlkit.inline_table()
        table.update({str(name): _plain(item) for name, item in value.items()})
        return table
    if isinstance(value, list | tuple):
        array = tomlkit.array()
        array.extend(_plain(item) for item in value)
        return array
    return value
