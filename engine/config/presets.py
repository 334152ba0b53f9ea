"""Find the presets: complete, commented run configs that ship with torchdeck."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_PRESET = "digits"
"""It needs no download."""


@dataclass(frozen=True)
class Preset:
    """A run config that ships with torchdeck.

    Attributes:
        name: name for `torchdeck train NAME`.
        path: TOML file of the preset.
        description: first comment line of the file.
    """

    name: str
    path: Path
    description: str


def presets_directory() -> Path:
    """The folder inside the package that holds the presets."""
    return Path(__file__).parents[2] / "presets"


def list_presets() -> list[Preset]:
    """Every preset, sorted by name, except that `digits`, which needs no download, comes first."""
    presets = []
    for path in presets_directory().glob("*.toml"):
        with path.open(encoding="utf-8") as file:
            description = file.readline().lstrip("#").strip()
        presets.append(Preset(path.stem, path, description))
    return sorted(presets, key=lambda preset: (preset.name != DEFAULT_PRESET, preset.name))
