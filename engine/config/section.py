"""The base of every group of settings."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A group of settings. Immutable; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Component(Section):
    """A part chosen from a library by name, with that library's own arguments beside it."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    name: str = Field(min_length=1, description="its name in the catalogue, or path/to/file.py:factory")

    @property
    def arguments(self) -> dict[str, Any]:
        """The library's own keyword arguments: every key that is not a field of this section."""
        return dict(self.model_extra or {})
