"""The draft as the fields of a form: labels, kinds, choices and help come from the config's own definitions."""

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
    """Every setting of the draft but the data's and the model's, which have panes of their own.

    Args:
        draft: the config to show.
        completions: for keys of free text, what may be typed, such as the optimizers of the installed torch.
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
    """The library's own arguments of a component, and a field that adds one."""
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
    help_text = f"another argument of {section.name}, as name=value"
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
    """A value as it is written in the TOML file, without the quotes of plain text."""
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
    """An error of an edit in the form, without the option that would have caused it on the command line."""
    return error.removeprefix("--set: ")


def faulty_field(error: str, keys: Sequence[str]) -> str:
    """The key of the field that an error is about; empty when it is about none or about more than one.

    Args:
        error: an error's text, "optimizer.lr = -1: must be above 0" or "optimizer SGD: unknown argument 'lrr'".
        keys: the keys of the fields there are.
    """
    if match := re.match(r"([a-z_]+(?:\.[A-Za-z_0-9]+)*) = ", error):
        return match[1] if match[1] in keys else ""
    if match := re.match(r"([a-z]+) \S+: .*?'([^']+)'", error):
        key = f"{match[1]}.{match[2]}"
        return key if key in keys else ""
    return ""


def command_line(draft: RunConfig, loaded: RunConfig, spec: str) -> str:
    """The shell command that starts the draft: the preset it came from, and what was changed since.

    Args:
        draft: what would be started.
        loaded: what `spec` holds.
        spec: the preset or file that the draft came from.
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
