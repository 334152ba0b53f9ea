"""Read, override and write RunConfig as a TOML file; every error names its file and line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from ..errors import ConfigError, did_you_mean
from ..files.documents import DocumentError, decoded, parse_toml
from ..files.regular_file import read_regular_file
from ..run_files import CONFIG_FILE
from ..user_path import user_path
from . import Component, RunConfig
from .presets import list_presets
from .retired import without_retired
from .secret_keys import REDACTED, hidden_in_line, hides_section, is_secret_place
from .sweep import SWEEP_SECTION, SweptRun

_Config = TypeVar("_Config", bound=RunConfig)

MAX_CONFIG_BYTES = 1 << 20
"""Of a config file; the largest that ships has 3 KB."""
# Of a key and of a value in a message; how many problems one message names.
_SHOWN = 200
_MOST_PROBLEMS = 20
_MAX_KEY_PARTS = 32


def load_config(spec: str, overrides: Sequence[str] = ()) -> RunConfig:
    """The run that `spec` names, with `KEY=VALUE` overrides applied.

    Args:
        spec: a preset's name, or the path of a TOML file.
        overrides: dotted assignments such as ``training.epochs=3``; values are TOML, a bare word is text.

    Raises:
        ConfigError: unknown preset, unreadable file, damaged TOML, or values that are not allowed.
    """
    path, text = _read_config(spec)
    return parse_config(text, place=str(path), overrides=overrides)


def load_sweep(spec: str, overrides: Sequence[str] = ()) -> SweptRun:
    """The run that `spec` names with its section [sweep], as `load_config` reads the run alone. Raises ConfigError."""
    path, text = _read_config(spec)
    values = _parsed(text, str(path))
    overridden = {apply_override(values, override) for override in overrides}
    return _checked(SweptRun, values, str(path), text, overridden)


def _read_config(spec: str) -> tuple[Path, str]:
    path = find_config(spec)
    try:
        text = decoded(read_regular_file(path, MAX_CONFIG_BYTES, follow_links=True)).removeprefix("\ufeff")
    except (OSError, DocumentError) as error:
        reason = (error.strerror or error) if isinstance(error, OSError) else error
        raise ConfigError(f"{path}: can't be read: {reason}") from error
    if path.name == CONFIG_FILE and not text.strip():
        # As TOML it is a config of defaults, which no run ever had.
        raise ConfigError(f"{path}: damaged: is empty; a run's config holds every setting")
    return path, text


def find_config(spec: str) -> Path:
    """The TOML file that `spec` names: a preset's name or a path. Raises ConfigError."""
    presets = {preset.name: preset.path for preset in list_presets()}
    if spec in presets:
        return presets[spec]
    path = user_path(spec)
    if path.is_file():
        return path
    if path.is_dir():
        if (path / CONFIG_FILE).is_file():
            return path / CONFIG_FILE
        raise ConfigError(f"{spec}: is a folder without a {CONFIG_FILE}; name a preset or a TOML file")
    if path.suffix == ".toml" or "/" in spec:
        raise ConfigError(f"{spec}: no such file")
    raise ConfigError(f"{spec}: no such preset or file{did_you_mean(spec, presets)}")


def parse_config(text: str, place: str, overrides: Sequence[str] = ()) -> RunConfig:
    """A RunConfig from TOML text; a section [sweep] is no part of it. Raises ConfigError.

    Args:
        text: the TOML.
        place: put before error messages.
        overrides: dotted assignments.
    """
    values = _parsed(text, place)
    values.pop(SWEEP_SECTION, None)
    overridden: set[str] = set()
    for override in overrides:
        overridden.add(key := apply_override(values, override))
        if key.partition(".")[0] == SWEEP_SECTION:
            raise ConfigError(f"--set {key}: is a setting of a sweep, not of a run; torchdeck sweep FILE takes it")
    return _validated(values, place, text, overridden)


def _parsed(text: str, place: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except DocumentError as error:
        raise ConfigError(f"{place}: {error}{_quoted_line(text, str(error))}") from error


def apply_override(values: dict[str, Any], override: str) -> str:
    """Apply one ``KEY=VALUE`` to the nested dict of a TOML file, in place. Returns the dotted key.

    Raises:
        ConfigError: there is no ``=``, or the key leads through something that is not a section.
    """
    key, equals, text = override.partition("=")
    key, text = key.strip(), text.strip()
    parts = key.split(".")
    if len(parts) > _MAX_KEY_PARTS:
        raise ConfigError(f"--set {key[:_SHOWN]}…: a key of {len(parts):,} parts; {_MAX_KEY_PARTS} are allowed")
    if not equals or not all(parts):
        raise ConfigError(f"--set {hidden_in_line(override)}: must be KEY=VALUE, such as training.epochs=3")
    section = values
    for depth, part in enumerate(parts[:-1], start=1):
        section = section.setdefault(part, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {hidden_in_line(override)}: {'.'.join(parts[:depth])} is not a section")
    section[parts[-1]] = text if is_text_field(parts) else _toml_value(text)
    return key


def replace_value(config: RunConfig, key: str, text: str) -> RunConfig:
    """`config` with one value changed, as `--set KEY=TEXT` would. Raises ConfigError."""
    values = config_values(config)
    apply_override(values, f"{key}={text}")
    return _validated(values, place="", text="", overridden={key})


def remove_argument(config: RunConfig, key: str) -> RunConfig:
    """`config` without one argument of a component, such as "optimizer.momentum", which falls back to its default."""
    values = config_values(config)
    section, _, name = key.partition(".")
    values[section].pop(name, None)
    return _validated(values, place="", text="", overridden=set())


def config_values(config: RunConfig) -> dict[str, Any]:
    """`config` as a nested dict with every value resolved, as in its TOML file."""
    return config.model_dump(mode="python")


def flat_values(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested values by dotted key, as `--set` names them; lists stay whole."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flat_values(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def config_from_values(values: dict[str, Any], place: str = "") -> RunConfig:
    """A RunConfig from nested dicts, as `config_values` returns. Raises ConfigError."""
    return _validated(values, place, text="", overridden=set())


def dump_config(config: RunConfig) -> str:
    """The whole resolved config as TOML text; `load_config` reads the same RunConfig back."""
    import tomlkit

    document = tomlkit.document()
    for key, value in config_values(config).items():
        if not isinstance(value, dict):
            document.add(key, value)
    for key, value in config_values(config).items():
        if isinstance(value, dict):
            document.add(tomlkit.nl())
            document.add(key, _table(value))
    return tomlkit.dumps(document)


def _table(values: dict[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.table()
    for key, value in values.items():
        if value is None:
            continue
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            array = tomlkit.array().multiline(True)
            for item in value:
                inline = tomlkit.inline_table()
                inline.update(item)
                array.append(inline)
            table.add(key, array)
        elif isinstance(value, dict):
            inline = tomlkit.inline_table()
            inline.update(value)
            table.add(key, inline)
        else:
            table.add(key, value)
    return table


def _toml_value(text: str) -> Any:
    """The TOML value of `text`, or the text itself if it is not valid TOML."""
    try:
        return parse_toml(f"value = {text}")["value"]
    except DocumentError:
        return text


def is_text_field(parts: list[str]) -> bool:
    """Whether the key names a text field, whose value may look like a number."""
    field = field_at(parts)
    return field is not None and field.annotation is str


def field_at(parts: Sequence[str]) -> FieldInfo | None:
    """The definition of the setting at a dotted key, in parts; None for a library's argument and an unknown one."""
    model: Any = SweptRun
    for part in parts[:-1]:
        field = model.model_fields.get(part)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return None
        model = field.annotation
    found: FieldInfo | None = model.model_fields.get(parts[-1])
    return found


def _validated(values: dict[str, Any], place: str, text: str, overridden: set[str]) -> RunConfig:
    return _checked(RunConfig, values, place, text, overridden)


def _checked(kind: type[_Config], values: dict[str, Any], place: str, text: str, overridden: set[str]) -> _Config:
    values, problem = without_retired(values)
    if problem:
        raise ConfigError(f"{place}: {problem}" if place else problem)
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        lines = []
        problems = error.errors(include_url=False)
        for details in problems[:_MOST_PROBLEMS]:
            loc = details["loc"] or _keys_of(details)
            key = ".".join(str(part) for part in loc)
            is_overridden = any(key == each or key.startswith(f"{each}.") for each in overridden)
            where = "--set" if is_overridden else _place_of(place, text, loc)
            lines.append(f"{where}{': ' if where else ''}{_sentence(details, key)}")
        if len(problems) > _MOST_PROBLEMS:
            lines.append(f"and {len(problems) - _MOST_PROBLEMS:,} more")
        raise ConfigError("\n".join(lines)) from error


def _keys_of(details: ErrorDetails) -> tuple[str, ...]:
    """The setting that a rule between sections begins its sentence with: "training.epochs = 3 must be …"."""
    found = re.match(r"([a-z_]+(?:\.[a-z_]+)+) = ", str(details.get("ctx", {}).get("error", "")))
    return tuple(found[1].split(".")) if found else ()


def _sentence(details: ErrorDetails, key: str) -> str:
    """The error message of one value: what is wrong and what is allowed."""
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if kind == "extra_forbidden":
        section, name = details["loc"][:-1], str(details["loc"][-1])
        known = _known_keys(section)
        where = f"[{'.'.join(map(str, section))}]" if section else "the file"
        return f"unknown key '{_shortened(name)}' in {where}{did_you_mean(name, known)}"
    if kind == "missing":
        return f"{key} is missing: {_description(details['loc'])}"
    if kind == "value_error":
        problem = str(context["error"])
        shown = REDACTED if is_secret_place(details["loc"]) else _shortened(repr(value))
        return f"{key} = {shown}: {problem}" if details["loc"] else problem
    rules = {
        "int_type": "must be a whole number",
        "int_from_float": "must be a whole number",
        "float_type": "must be a number",
        "bool_type": "must be true or false",
        "string_type": "must be text in quotes",
        "list_type": "must be a list",
        "dict_type": "must be a table",
        "model_type": "must be a section",
        "greater_than_equal": f"must be at least {context.get('ge')}",
        "greater_than": f"must be above {context.get('gt')}",
        "less_than_equal": f"must be at most {context.get('le')}",
        "less_than": f"must be below {context.get('lt')}",
        "string_too_short": "must not be empty",
        "literal_error": f"must be one of {context.get('expected')}{_nearest(context, value)}",
    }
    rule = rules.get(kind, "is not allowed")
    shown = repr(value if isinstance(value, str | int | float | bool) else type(value).__name__)
    shown = REDACTED if is_secret_place(details["loc"]) else _shortened(shown)
    description = _description(details["loc"])
    return f"{key} = {shown}: {rule}{f' ({description})' if description else ''}"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _nearest(context: dict[str, Any], value: Any) -> str:
    known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
    hint = did_you_mean(str(value), known)
    return hint if "did you mean" in hint else ""


def _model_at(loc: Sequence[str | int]) -> Any:
    """The section class at a path of keys, or None."""
    model: Any = SweptRun
    for part in loc:
        if isinstance(part, int):
            model = next(iter(get_args(model)), Component)
            continue
        field = getattr(model, "model_fields", {}).get(part)
        if field is None:
            return None
        model = field.annotation
    return model


def _known_keys(section: Sequence[str | int]) -> list[str]:
    return list(getattr(_model_at(section), "model_fields", {}))


def _description(loc: Sequence[str | int]) -> str:
    fields = getattr(_model_at(loc[:-1]), "model_fields", {})
    field = fields.get(loc[-1]) if loc else None
    return (field.description or "") if field is not None else ""


def _place_of(place: str, text: str, loc: Sequence[str | int]) -> str:
    """The file and, if it can be found, the line of a key."""
    keys = [part for part in loc if isinstance(part, str)]
    section: str = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[([^\[\]]+)\]", line):
            section = header.group(1).strip()
        elif assignment := re.match(r"\s*([\w.-]+)\s*=", line):
            path = ".".join(filter(None, [section, assignment.group(1)]))
            if path in (".".join(keys), ".".join(keys[:-1])):
                return f"{place}, line {number}"
    return place


def _quoted_line(text: str, message: str) -> str:
    if (found := re.search(r"line (\d+)", message)) is None:
        return ""
    lines = text.splitlines()
    number = int(found.group(1))
    if not 0 < number <= len(lines):
        return ""
    line = lines[number - 1].strip()
    shown = hidden_in_line(line)
    if shown == line and hides_section(_section_at(lines, number)) and not re.match(r"[\w.-]+\s*=|\[", line):
        # It may continue a text of several lines.
        return ""
    return f"\n  {_shortened(shown)}"


def _section_at(lines: Sequence[str], number: int) -> str:
    """The section of a TOML file that a line, counted from 1, lies in; empty above the first."""
    headers = (re.match(r"\s*\[([^\[\]]+)\]", line) for line in reversed(lines[:number]))
    return next((header[1].strip() for header in headers if header), "")
