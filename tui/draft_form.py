"""The draft as form fields: labels, kinds, choices and help come from the config's definitions."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic.fields import FieldInfo

from torchdeck.engine.config import Component, RunConfig, Section
from torchdeck.engine.config.section import NamesMetric
from torchdeck.engine.metric_names import BUILT_IN

from .widgets.config_form import FieldKind, FormField

# They have panes of their own.
_ELSEWHERE = ("data", "model")
ADD = "add"
_SPEC = re.compile(r"""[^\s"'=,\[\]{}]+\.py(?::[\w.]+)?""")


def draft_fields(draft: RunConfig, completions: Mapping[str, Sequence[str]]) -> list[FormField]:
    """Make a field for every setting, except those of data and model, which have their own panes.

    Args:
        draft: config to show.
        completions: valid texts by key, such as the optimizers of the installed torch.
    """
    metrics = (*BUILT_IN, *draft.evaluation.metric_keys)
    sections = {name: getattr(draft, name) for name in RunConfig.model_fields if name not in _ELSEWHERE}
    fields = [
        _field(draft, name, "run", RunConfig.model_fields[name], completions.get(name, ()), metrics)
        for name, value in sections.items()
        if not isinstance(value, Section)
    ]
    for name, section in sections.items():
        if not isinstance(section, Section):
            continue
        for key, info in type(section).model_fields.items():
            full = f"{name}.{key}"
            fields.append(_field(section, full, name, info, completions.get(full, ()), metrics))
        if isinstance(section, Component):
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
    section: Section, key: str, title: str, info: FieldInfo, completions: Sequence[str], metrics: Sequence[str]
) -> FormField:
    label = key.rpartition(".")[2]
    kind, choices = _kind(info.annotation)
    if any(isinstance(mark, NamesMetric) for mark in info.metadata):
        # One that measures several figures is typed: KEY.FIGURE.
        kind, choices = ("choice" if tuple(metrics) == BUILT_IN else "text"), tuple(metrics)
    value = getattr(section, label)
    return FormField(
        key,
        label,
        kind,
        toml_text(_without_defaults(value)) if not isinstance(value, str) else value,
        choices=choices or tuple(completions),
        help=info.description or "",
        section=title,
    )


def _without_defaults(value: Any) -> Any:
    """A list of components or groups with what was set of each: the bare name where that is all."""
    if not isinstance(value, list):
        return value
    items = [item.model_dump(exclude_defaults=True) if isinstance(item, Section) else item for item in value]
    return [item["name"] if isinstance(item, dict) and item.keys() == {"name"} else item for item in items]


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


def faulty_field(error: str, fields: Sequence[FormField]) -> str:
    """The key of the field that an error names; empty if it names none, or several.

    Args:
        error: error text: "optimizer.lr = -1: must be above 0", "optimizer SGD: unknown argument 'lrr'", or about the
            user's own file: "importing loss.py: …".
        fields: all fields.
    """
    keys = {field.key for field in fields}
    if match := re.match(r"([a-z_]+(?:\.[A-Za-z_0-9]+)*) = ", error):
        key = match[1]
        while key and key not in keys:
            key = key.rpartition(".")[0]
        return key
    if (match := re.match(r"([a-z]+) \S+: .*?'([^']+)'", error)) and f"{match[1]}.{match[2]}" in keys:
        return f"{match[1]}.{match[2]}"
    if match := re.match(r"(metric|callback) \S+: ", error):
        key = {"metric": "evaluation.metrics", "callback": "callbacks"}[match[1]]
        return key if key in keys else ""
    return _field_of_code(error.partition("\n")[0], fields)


def _field_of_code(line: str, fields: Sequence[FormField]) -> str:
    """The one field whose code a line is about: by what it calls, or else by its file's name."""
    specs = {field.key: _SPEC.findall(field.value) for field in fields}
    called = [key for key, named in specs.items() if any(spec in line for spec in named)]
    files = [key for key, named in specs.items() if any(_file_name(spec) in line for spec in named)]
    found = called or files
    return found[0] if len(found) == 1 else ""


def _file_name(spec: str) -> str:
    return re.split(r"[/\\]", spec.partition(".py")[0])[-1] + ".py"


def command_line(draft: RunConfig, loaded: RunConfig, spec: str) -> str:
    """The shell command that starts the draft: its preset or file, and every changed setting.

    Args:
        draft: config to start.
        loaded: config that `spec` holds.
        spec: preset or file that the draft came from.
    """
    import shlex

    words = ["torchdeck", "train", spec]
    for key, _, new in _changes(loaded, draft):
        if new is not None:
            words += ["--set", f"{key}={toml_text(new)}"]
    return shlex.join(words)


def change_lines(before: RunConfig, after: RunConfig) -> list[str]:
    """One line for each setting that differs: `optimizer.lr: 0.01 → 0.001`."""
    return [f"{key}: {_shown(old)} → {_shown(new)}" for key, old, new in _changes(before, after)]


def _shown(value: Any) -> str:
    return "not set" if value is None else toml_text(value) or '""'


def _changes(before: RunConfig, after: RunConfig) -> list[tuple[str, Any, Any]]:
    """Dotted key, old and new value of every setting that differs; None where one of them hasn't got it.

    Of a secret it is the reference, which works on a command line and says nothing on a screen.
    """
    from torchdeck.engine.config.file import config_values
    from torchdeck.engine.config.secret_settings import with_secrets_kept

    old, new = _flat(config_values(with_secrets_kept(before))), _flat(config_values(with_secrets_kept(after)))
    return [(key, old.get(key), new.get(key)) for key in {**new, **old} if old.get(key) != new.get(key)]


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= {f"{key}.{name}": item for name, item in value.items()} if isinstance(value, dict) else {key: value}
    return flat
