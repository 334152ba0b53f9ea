"""What differs between two configs, without the secrets in them."""

from __future__ import annotations

from typing import Any

from .file import config_values, flat_values
from .run import RunConfig
from .secret_settings import redacted_values


def changed_settings(before: RunConfig, after: RunConfig) -> dict[str, tuple[Any, Any]]:
    """The dotted keys whose values differ, with both values as they are displayed."""
    old, new = flat_values(config_values(before)), flat_values(config_values(after))
    changed = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    old, new = flat_values(redacted_values(before)), flat_values(redacted_values(after))
    return {key: (old.get(key), new.get(key)) for key in changed}
