"""The reference of every setting, as a page of the docs, from the definitions in `torchdeck.engine.config`.

python -m torchdeck.engine.config.reference > docs/config.md
"""

from __future__ import annotations

import json
import types
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ..metric_names import BUILT_IN
from . import Component, InitRule, MetricConfig, ParameterGroup, RunConfig
from .section import NamesMetric

_INTRODUCTION = """# Settings of a run

A run is one TOML file with these sections; every setting has a default, so a file holds only what differs.
`--set section.key=value` changes one on the command line, the studio's forms change the same ones, and the run writes
all of them, resolved, into its directory as `run.toml`. An unknown key is an error that names the nearest valid one.

In a section marked *with the library's own arguments*, every further key is a keyword argument of the class or
function that `name` names, under the name it has there, and is checked against its signature: `momentum` of SGD,
`step_size` of StepLR, `size` and `padding` of RandomCrop. `torchdeck list optimizers|schedules|transforms|models`
prints them.

This page is made by `python -m torchdeck.engine.config.reference`.
"""

_ITEM_NAMES = {
    Component: "components",
    InitRule: "init rules",
    MetricConfig: "metrics",
    ParameterGroup: "groups",
}
_TYPE_NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text", dict: "table"}


@dataclass(frozen=True)
class Setting:
    """One setting in words.

    Attributes:
        key: its name in its section.
        type: what kind of value it takes.
        default: its default, as TOML writes it.
        allowed: the bounds of its value, or its choices; empty when there are none.
        description: what it is for.
    """

    key: str
    type: str
    default: str
    allowed: str
    description: str


def list_settings(section: type[BaseModel]) -> list[Setting]:
    """The settings of a section itself, without those of sections inside it."""
    return [
        Setting(key, _type(field), _default(field), _allowed(field), field.description or "")
        for key, field in section.model_fields.items()
        if not _is_section(field)
    ]


def list_sections() -> dict[str, type[BaseModel]]:
    """The sections of a run by their name in TOML."""
    return {key: field.annotation for key, field in RunConfig.model_fields.items() if _is_section(field)}  # type: ignore[misc]


def config_reference() -> str:
    """The page, in Markdown."""
    parts = [_INTRODUCTION, "## The run itself", _table(list_settings(RunConfig))]
    for name, section in list_sections().items():
        summary = (section.__doc__ or "").strip().splitlines()[0]
        extra = " *With the library's own arguments.*" if issubclass(section, Component) else ""
        parts += [f"## `[{name}]`", f"{summary}{extra}", _table(list_settings(section))]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(settings: list[Setting]) -> str:
    lines = ["| setting | type | default | allowed | what it is |", "|---|---|---|---|---|"]
    for setting in settings:
        cells = (f"`{setting.key}`", setting.type, setting.default, setting.allowed, setting.description)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines)


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _type(field: FieldInfo) -> str:
    return _type_name(field.annotation)


def _type_name(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return "text"
    if origin is list:
        item = arguments[0]
        return f"list of {_ITEM_NAMES[item] if item in _ITEM_NAMES else f'{_type_name(item)}s'}"
    if origin in (Union, types.UnionType):
        return " or ".join(_type_name(argument) for argument in arguments)
    return _TYPE_NAMES[origin or annotation]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _allowed(field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    if any(isinstance(mark, NamesMetric) for mark in field.metadata):
        return ", ".join(f"`{name}`" for name in BUILT_IN) + ", or a metric of `evaluation.metrics`"
    rules = []
    for rule in field.metadata:
        if isinstance(rule, Ge):
            rules.append(f"at least {rule.ge}")
        elif isinstance(rule, Gt):
            rules.append(f"above {rule.gt}")
        elif isinstance(rule, Le):
            rules.append(f"at most {rule.le:,}")
        elif isinstance(rule, Lt):
            rules.append("below 2⁶³" if rule.lt == 2**63 else f"below {rule.lt}")
        elif isinstance(rule, MinLen):
            rules.append("not empty")
    return ", ".join(rules)


if __name__ == "__main__":
    print(config_reference(), end="")
