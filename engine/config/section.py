"""The base of every group of settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class NamesMetric:
    """Marks a setting that names a metric: one of torchdeck's, or of `evaluation.metrics`."""


MetricName = Annotated[str, NamesMetric()]
"""A metric by its name."""


@dataclass(frozen=True)
class NamesCode:
    """Marks a setting that may name the user's own code: see `torchdeck.engine.config.code_names`."""


CodeName = Annotated[str, NamesCode()]
"""A name in a catalog, or path/to/file.py:name."""


@dataclass(frozen=True)
class HoldsSecret:
    """Marks a setting whose value is nobody else's business: see `torchdeck.engine.config.secret_keys`."""


class Section(BaseModel):
    """A group of settings. Immutable; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class Component(Section):
    """A component chosen from a library by name, with that library's own arguments."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, hide_input_in_errors=True)

    name: CodeName = Field(min_length=1, description="name in the catalog, or path/to/file.py:factory")

    @property
    def arguments(self) -> dict[str, Any]:
        """The library's own keyword arguments: every key that is not a field of this section."""
        return dict(self.model_extra or {})


def named_components(value: Any) -> Any:
    """A list in which a bare string stands for a component without arguments; a string by itself is a list of it."""
    if isinstance(value, str):
        return [{"name": value}] if value else []
    if not isinstance(value, list):
        return value
    return [{"name": item} if isinstance(item, str) else item for item in value]
