"""The draft as form fields: labels, kinds, choices and help come from the config's definitions."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic.fields import FieldInfo

from torchdeck.engine.config import Component, RunConfig, Section

from .widgets.config_form import FieldKind, FormField

SECTIONS = ("loader", "loss", "optimizer", "schedule", "training", "checkpoint", "notify", "mirror")
ADD = "add"


def draft_fields(draft: RunConfig, completions: Mapping[str, Sequence[str]]) -> list[FormField]:
    """Make a field for every setting, except those of data and model, which have their own panes.

    Args:
        draft: config to show.
        completions: valid texts by key, such as the optimizers of the installed torch.
    """
    fields = [
        _field(draft, key, "run", RunConfig.model_fields[key], completions) for key in ("name", "seed", "start_from")
    ]
    for name in SECTIONS:
        section = getattr(draft, name)
        for key, info in type(section).model_fields.items():
            fields.append(_field(section, f"{name}.{key}", name, info, completions))
        if isinstance(section, Component) and name != "loss":
            fields += _argument_fields(section, name)
    return fields


def _argument_fields(section: Component, name: str) -> list[FormField]:
    """Make a field for each library argument of a component, and one that adds an argument."""
    fields = [
        FormField(
            f"{name}.{key}",
            key,
            "text",
            toml_text(value),
            help=f"argument of {section.name}; empty to remove",
            section=name,
        )
        for key, value in section.arguments.items()
    ]
    help_text = f"an argument of {section.name}, as name=value"
    return [*fields, FormField(f"{name}.{ADD}", "add", "text", "", help=help_text, section=name)]


def _field(
    section: Section, key: str, title: str, info: FieldInfo, completions: Mapping[str, Sequence[str]]
) -> FormField:
    label = key.rpartition(".")[2]
    kind, choices = _kind(info.annotation)
    value = getattr(section, label)
    return FormField(
        key,
        label,
        kind,
        toml_text(value) if not isinstance(value, str) else value,
        choices=choices or tuple(completions.get(key, ())),
        help=info.description or "",
        section=title,
    )


def _kind(annotation: Any) -> tuple[FieldKind, tuple[str, ...]]:
    origin = typing.get_origin(annotation)
    if origin is Literal:
        return "choice", tuple(map(str, typing.get_args(annotation)))
    if origin in (typing.Union, types.UnionType):
        return "text", ()
    kinds: dict[Any, FieldKind] = {bool: "bool", int: "int", float: "float"}
    return kinds.get(annotation, "text"), ()


def toml_text(value: Any) -> str:
    """Write a value as in a TOML file, but plain text without quotes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_quoted(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_quoted(item) for item in value) + "]"
    return str(value)


def _quoted(value: Any) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return toml_text(value)


def without_origin(error: str) -> str:
    """Strip the command-line option from an error that an edit in the form caused."""
    return error.removeprefix("--set: ")


def faulty_field(error: str, keys: Sequence[str]) -> str:
    """The key of the field that an error names; empty if it names none, or several.

    Args:
        error: error text: "optimizer.lr = -1: must be above 0" or "optimizer SGD: unknown argument 'lrr'".
        keys: keys of all fields.
    """
    if match := re.match(r"([a-z_]+(?:\.[A-Za-z_0-9]+)*) = ", error):
        return match[1] if match[1] in keys else ""
    if match := re.match(r"([a-z]+) \S+: .*?'([^']+)'", error):
        key = f"{match[1]}.{match[2]}"
        return key if key in keys else ""
    return ""


def command_line(draft: RunConfig, loaded: RunConfig, spec: str) -> str:
    """The shell command that starts the draft: its preset or file, and every changed setting.

    Args:
        draft: config to start.
        loaded: config that `spec` holds.
        spec: preset or file that the draft came from.
    """
    import shlex

    from torchdeck.engine.config.file import config_values

    words = ["torchdeck", "train", spec]
    before, after = config_values(loaded), config_values(draft)
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict):
            for name, item in value.items():
                if not isinstance(old, dict) or old.get(name) != item:
                    words += ["--set", f"{key}.{name}={toml_text(item)}"]
        elif old != value:
            words += ["--set", f"{key}={toml_text(value)}"]
    return shlex.join(words)
