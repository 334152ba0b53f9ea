"""Whether Optuna is there, asked without importing it."""

from __future__ import annotations

from importlib.util import find_spec

from ..errors import ConfigError
from ..machine.installation import install_command

_PACKAGES = ("optuna", "cmaes", "scipy")


def has_optuna() -> bool:
    """Whether the packages of the extra `sweep` are installed."""
    return all(find_spec(package) is not None for package in _PACKAGES)


def require_optuna() -> None:
    """Raise ConfigError, which says how to get it, where a package of the extra `sweep` is missing."""
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise ConfigError(f"a sweep needs {', '.join(missing)}; install it with: {install_command(extra='sweep')}")
