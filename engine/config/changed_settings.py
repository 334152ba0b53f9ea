"""What differs between two configs, without the secrets in them."""

from __future__ import annotations

from typing import Any

from .file import config_values
from .run import RunConfig
from .secret_settings import redacted_values


def changed_settings(before: RunConfig, after: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The dotted keys whose values differ, with both values as they are displayed."""
    old, new = _flattened(config_values(before)), _flattened(config_values(after))
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    old, new = _flattened(redacted_values(before)), _flattened(redacted_values(after))
    return {key: (old.get(key), new.get(key)) for key in changed}


def _flattened(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
