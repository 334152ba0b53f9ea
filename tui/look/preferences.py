"""What the user prefers on this account: the theme, keys, and what panes remember, in one file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torchdeck.engine.errors import ConfigError
from torchdeck.engine.files.documents import DocumentError, read_toml
from torchdeck.engine.files.durable import atomic_write
from torchdeck.engine.user_path import user_path

_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Preferences:
    """The content of `studio.toml`.

    Attributes:
        theme: name of the theme; empty for the default.
        keys: keys by command, such as `{"runs.resume": "R"}`; commas separate several.
        panes: what each pane remembers, by its name: choices of the user, never data of a run.
    """

    theme: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)
    panes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def preferences_path() -> Path:
    """The file: $XDG_CONFIG_HOME/torchdeck/studio.toml, else ~/.config/torchdeck/studio.toml. It may not be there."""
    return user_path(os.environ.get("XDG_CONFIG_HOME") or "~/.config") / "torchdeck" / "studio.toml"


def read_preferences(path: Path) -> Preferences:
    """Read the file; without one, nothing is preferred.

    Raises:
        ConfigError: the file can't be read, or says something that has no meaning.
    """
    try:
        # Followed, since many keep such files elsewhere and link to them.
        return _checked(path, read_toml(path, _MOST_BYTES, follow_links=True))
    except FileNotFoundError:
        return Preferences()
    except (OSError, DocumentError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: can't be read: {reason}") from error


def _checked(path: Path, values: Mapping[str, Any]) -> Preferences:
    unknown = sorted(values.keys() - {"theme", "keys", "panes"})
    if unknown:
        raise ConfigError(f"{path}: unknown key {unknown[0][:100]!r} (allowed: theme, [keys], [panes.NAME])")
    theme, keys, panes = values.get("theme", ""), values.get("keys", {}), values.get("panes", {})
    if not isinstance(theme, str):
        raise ConfigError(f"{path}: theme must be a name in quotes")
    if not isinstance(keys, dict) or not all(isinstance(key, str) for key in keys.values()):
        raise ConfigError(f'{path}: [keys] must hold lines such as "runs.resume" = "R"')
    if not isinstance(panes, dict) or not all(isinstance(pane, dict) for pane in panes.values()):
        raise ConfigError(f"{path}: [panes] must hold tables such as [panes.train]")
    return Preferences(theme, keys, panes)


def remember(path: Path, *, theme: str | None = None, pane: str = "", **choices: Any) -> None:
    """Change a part of the file; what else is in it stays, comments too.

    Args:
        path: the file; made with its folder if it is not there.
        theme: name of the theme; None leaves it.
        pane: pane that remembers the choices; empty for none.
        choices: strings, numbers, booleans or lists of them, by name.

    Raises:
        ConfigError: the file that is there can't be read, so it is left as it is.
        OSError: it can't be written.
    """
    import tomlkit

    read_preferences(path)
    document = tomlkit.parse(path.read_text(encoding="utf-8")) if path.exists() else tomlkit.document()
    if theme is not None:
        document["theme"] = theme
    if pane:
        panes = document.setdefault("panes", tomlkit.table(is_super_table=True))
        panes.setdefault(pane, tomlkit.table()).update(choices)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # A link stays one.
    atomic_write(path.resolve(), tomlkit.dumps(document).encode())
