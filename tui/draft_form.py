"""The draft as form fields: labels, kinds, choices and help come from the config's definitions."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic.fields import FieldInfo

from torchdeck.engine.config import Component, RunConfig, Section
from torchdeck.engine.config.idle_settings import idle_settings
from torchdeck.engine.config.section import NamesMetric
from torchdeck.engine.metric_names import BUILT_IN

from .widgets.form_field import FieldKind, FormField

if TYPE_CHECKING:
    from torchdeck.engine.training.optimization.optimizers import OptimizerEntry
    from torchdeck.engine.training.optimization.schedules import ScheduleEntry

DEVICES = "parallel.devices"
"""The setting whose values are chosen from a list of the GPUs."""
# They have panes of their own.
_ELSEWHERE = ("data", "model")
_SPEC = re.compile(r"""[^\s"'=,\[\]{}]+\.py(?::[\w.]+)?""")
# How torch computes an update; it is the same update.
_IMPLEMENTATION = ("foreach", "fused", "capturable", "differentiable", "last_epoch")


@dataclass(frozen=True)
class Libraries:
    """What the installed libraries offer.

    Attributes:
        names: valid texts by key, such as the optimizers of the installed torch.
        arguments: by section and name, the arguments of a component with their defaults as text; None where there is
            no default or it is not known.
    """

    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    arguments: Mapping[tuple[str, str], Mapping[str, str | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Source:
    """What fields are made from besides the draft."""

    origin: RunConfig
    libraries: Libraries
    off: Mapping[str, str]
    metrics: tuple[str, ...]


def library_arguments(defaults: Mapping[str, Any], *settings: str) -> dict[str, str | None]:
    """Arguments that a form offers, as text, without those that are settings of their own.

    Args:
        defaults: defaults by name; None where there is none.
        settings: names of settings.
    """
    offered = {name: value for name, value in defaults.items() if name not in (*_IMPLEMENTATION, *settings)}
    return {name: None if _is_unknown(value) else toml_text(value) for name, value in offered.items()}


def _is_unknown(value: Any) -> bool:
    return value is None or (isinstance(value, tuple) and None in value)


def libraries_of(optimizers: Sequence[OptimizerEntry], schedules: Sequence[ScheduleEntry]) -> Libraries:
    """What the installed torch offers."""
    arguments = {("optimizer", entry.name): library_arguments(entry.defaults, "lr") for entry in optimizers}
    for schedule in schedules:
        arguments["schedule", schedule.name] = library_arguments(dict.fromkeys(schedule.parameters))
    names = {
        "optimizer.name": [entry.name for entry in optimizers],
        "schedule.name": [entry.name for entry in schedules],
    }
    return Libraries(names, arguments)


def draft_fields(
    draft: RunConfig,
    libraries: Libraries | None = None,
    *,
    origin: RunConfig | None = None,
    off: Mapping[str, str] | None = None,
) -> list[FormField]:
    """Make a field for every setting, except those of data and model, which have their own panes.

    Args:
        draft: config to show.
        libraries: what the installed libraries offer; None if not known yet.
        origin: config that the draft was made from; None for the draft itself.
        off: by key, why a setting has no effect, besides what the draft alone says.
    """
    source = _Source(
        origin if origin is not None else draft,
        libraries or Libraries(),
        {**idle_settings(draft), **(off or {})},
        (*BUILT_IN, *draft.evaluation.metric_keys),
    )
    sections = {name: getattr(draft, name) for name in RunConfig.model_fields if name not in _ELSEWHERE}
    fields = [_field(draft, name, "run", source) for name, value in sections.items() if not isinstance(value, Section)]
    for name, section in sections.items():
        if not isinstance(section, Section):
            continue
        fields += [_field(section, f"{name}.{key}", name, source) for key in type(section).model_fields]
        if isinstance(section, Component):
            fields += _argument_fields(section, name, source)
    return fields


def with_gpus(draft: RunConfig, gpus: Sequence[int]) -> RunConfig:
    """The draft on these GPUs, with a process for each; without one, it trains where training.device says."""
    parallel = draft.parallel.model_copy(update={"devices": list(gpus), "processes": 1})
    changes: dict[str, Section] = {"parallel": parallel}
    if gpus and draft.training.device not in ("auto", "cuda"):
        # It would contradict.
        changes["training"] = draft.training.model_copy(update={"device": "auto"})
    return draft.model_copy(update=changes)


def _argument_fields(section: Component, name: str, source: _Source) -> list[FormField]:
    """Make a field for each library argument of a component: those that are set, then the others it takes."""
    known = source.libraries.arguments.get((name, section.name), {})
    origin_arguments = getattr(source.origin, name).arguments
    names = [*section.arguments, *(each for each in known if each not in section.arguments)]
    return [
        FormField(
            f"{name}.{each}",
            each,
            _kind_of_argument(section.arguments.get(each), known.get(each)),
            toml_text(section.arguments[each]) if each in section.arguments else known[each] or "",
            help=f"argument of {section.name}",
            section=name,
            off=source.off.get(f"{name}.{each}", ""),
            origin=toml_text(origin_arguments[each]) if each in origin_arguments else None,
            default=known.get(each),
            is_set=each in section.arguments,
        )
        for each in names
    ]


def _kind_of_argument(value: Any, default: str | None) -> FieldKind:
    if isinstance(value, bool) or (value is None and default in ("true", "false")):
        return "bool"
    return "list" if isinstance(value, list | dict) else "text"


def _field(section: Section, key: str, title: str, source: _Source) -> FormField:
    label = key.rpartition(".")[2]
    info = type(section).model_fields[label]
    kind, choices = _kind(info.annotation)
    if any(isinstance(mark, NamesMetric) for mark in info.metadata):
        # One that measures several figures is typed: KEY.FIGURE.
        kind, choices = ("choice" if source.metrics == BUILT_IN else "text"), source.metrics
    began_with = source.origin if title == "run" else getattr(source.origin, title)
    return FormField(
        key,
        label,
        kind,
        _text(getattr(section, label)),
        choices=choices or tuple(source.libraries.names.get(key, ())),
        help=info.description or "",
        section=title,
        off=source.off.get(key, ""),
        origin=_text(getattr(began_with, label)),
        default=_text(info.get_default(call_default_factory=True)),
        allowed=_allowed(info),
        is_listed=key == DEVICES,
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else toml_text(_without_defaults(value))


def _allowed(info: FieldInfo) -> str:
    """The bounds of a number in words; choices are listed elsewhere."""
    words = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}"}
    rules = [
        (text, getattr(rule, bound)) for rule in info.metadata for bound, text in words.items() if hasattr(rule, bound)
    ]
    return ", ".join(text.format(f"{value:,}" if isinstance(value, int) else value) for text, value in rules)


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
    if origin in (list, dict):
        return "list", ()
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
