"""The presets: complete, commented runs that ship with torchdeck, the seed of every new one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Preset:
    """A run that ships with torchdeck.

    Attributes:
        name: what `torchdeck train NAME` takes.
        path: its TOML file.
        description: its first comment line.
    """

    name: str
    path: Path
    description: str


def presets_directory() -> Path:
    """The folder of the presets inside the package."""
    return Path(__file__).parents[2] / "presets"


def list_presets() -> list[Preset]:
    """Every preset, sorted by name, with `digits`, which needs no download, first."""
    presets = []
    for path in presets_directory().glob("*.toml"):
        with path.open(encoding="utf-8") as file:
            description = file.readline().lstrip("#").strip()
        presets.append(Preset(path.stem, path, description))
    return sorted(presets, key=lambda preset: (preset.name != "digits", preset.name))
