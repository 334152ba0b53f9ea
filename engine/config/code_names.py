"""Every setting that may name the user's own code, found by its mark in the sections' definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .section import Component, NamesCode, Section


def code_names(section: Section) -> list[str]:
    """What the settings say that may name code: names of a catalog and `path/to/file.py:name` alike, in their order.

    Args:
        section: a run, or any part of one; components that lie in another's arguments count, too.
    """
    found: list[str] = []

    def keep(name: str) -> str:
        found.append(name)
        return name

    with_code_names(section, keep)
    return found


def with_code_names(section: Section, change: Callable[[str], str]) -> dict[str, Any]:
    """The values of a section, as `model_dump` has them, with `change` applied to every name that may be code."""
    values = dict(section.model_extra or {})
    if isinstance(section, Component):
        values = {key: _changed_argument(value, change) for key, value in values.items()}
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        is_name = any(isinstance(mark, NamesCode) for mark in field.metadata)
        values[key] = change(value) if is_name else _changed_value(value, change)
    return values


def _changed_value(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Section):
        return with_code_names(value, change)
    return [_changed_value(item, change) for item in value] if isinstance(value, list) else value


def _changed_argument(value: Any, change: Callable[[str], str]) -> Any:
    """An argument, which may hold further components: tables with a name, as RandomApply's transforms."""
    if isinstance(value, list | tuple):
        return [_changed_argument(item, change) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {key: _changed_argument(item, change) for key, item in value.items()}
    return changed | ({"name": change(value["name"])} if isinstance(value.get("name"), str) else {})
