"""What the shell offers for a word of the command line. Needs no torch; imports what a kind of word needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import click
from click.shell_completion import CompletionItem

from torchdeck.engine.runs.on_disk.directory import default_runs_root
from torchdeck.engine.user_path import user_path

if TYPE_CHECKING:
    from pydantic import BaseModel

Item = CompletionItem[str]
Completion = Callable[[click.Context, click.Parameter, str], list[Item]]

WEIGHTS = (".pt", ".pth", ".safetensors", ".ckpt", ".bin")
_LIVE_COMMANDS = ("pause", "resume", "save", "stop", "set", "profile")


def configs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Presets, and TOML files."""
    from torchdeck.engine.config.presets import list_presets

    presets = ((preset.name, preset.description) for preset in list_presets())
    return [*_fitting(presets, incomplete), *paths(incomplete, ".toml")]


def runs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Runs of the folder that `--runs` names, the newest first."""
    from torchdeck.engine.runs.on_disk.directory import list_runs

    root = context.params.get("runs_root") or default_runs_root()
    return _fitting(((run.name, run.status) for run in list_runs(Path(root))), incomplete)


def runs_and_files(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Runs, and files that may be checkpoints."""
    return [*runs(context, parameter, incomplete), *paths(incomplete, *WEIGHTS)]


def runs_and_configs(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Runs, presets, and TOML files."""
    return [*runs(context, parameter, incomplete), *configs(context, parameter, incomplete)]


def checkpoints(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Checkpoints of the run that the command line names."""
    from torchdeck.engine.errors import TorchdeckError
    from torchdeck.engine.run_files import CHECKPOINTS
    from torchdeck.engine.runs.on_disk.directory import find_run

    try:
        run = find_run(Path(context.params.get("runs_root") or default_runs_root()), context.params.get("run") or "")
    except TorchdeckError:
        return []
    names = sorted((file.name for file in (run / CHECKPOINTS).glob("*.pt")), reverse=True)
    return _fitting(((name, "") for name in names), incomplete)


def models(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Models of the catalog; Python files, and what one defines after its colon."""
    from torchdeck.engine.models.catalog import list_models

    named = ((entry.name, entry.description) for entry in list_models())
    return [*_fitting(named, incomplete), *_objects(incomplete)]


def datasets(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """Data sets of the catalog."""
    from torchdeck.engine.data.datasets.catalog import list_datasets

    return _fitting(((entry.name, entry.title) for entry in list_datasets()), incomplete)


def files(*suffixes: str) -> Completion:
    """Files with one of these suffixes, and folders."""
    return lambda context, parameter, incomplete: paths(incomplete, *suffixes)


def live_commands(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """What a live run obeys."""
    return [] if context.params.get("command") else _fitting(((name, "") for name in _LIVE_COMMANDS), incomplete)


def settings(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Item]:
    """`KEY=` for every setting of a run, and behind it the values that there are names of."""
    from torchdeck.engine.config import RunConfig
    from torchdeck.engine.config.reference import list_sections

    fields: dict[str, type[BaseModel]] = {"": RunConfig, **list_sections()}
    keys = {
        f"{section}.{name}".lstrip("."): field
        for section, group in fields.items()
        for name, field in group.model_fields.items()
        if name not in fields
    }
    key, equals, value = incomplete.partition("=")
    if not equals:
        return _fitting(((f"{name}=", field.description or "") for name, field in keys.items()), incomplete)
    if key not in keys:
        return []
    for named, offered in (("data.dataset", datasets), ("model.name", models)):
        if key == named:
            return [Item(f"{key}={item.value}", help=item.help) for item in offered(context, parameter, value)]
    return _fitting(((f"{key}={choice}", "") for choice in _choices(keys[key].annotation)), incomplete)


def paths(incomplete: str, *suffixes: str) -> list[Item]:
    """Files with one of the suffixes, and folders, that begin with what was typed."""
    folder, _, beginning = incomplete.rpartition("/")
    prefix = incomplete[: len(incomplete) - len(beginning)]
    try:
        entries = sorted(user_path(f"{folder}/" if prefix else ".").iterdir())
    except OSError:
        return []
    return [
        Item(f"{prefix}{entry.name}", is_path=True)
        for entry in entries
        if entry.name.startswith(beginning)
        and (beginning.startswith(".") or not entry.name.startswith("."))
        and (entry.suffix in suffixes or entry.is_dir())
    ]


def _objects(incomplete: str) -> list[Item]:
    from torchdeck.engine.errors import UserCodeError
    from torchdeck.engine.user_code import defined_names
    from torchdeck.engine.user_path import user_path

    file, colon, _ = incomplete.rpartition(":")
    if not colon:
        return paths(incomplete, ".py")
    try:
        names = defined_names(user_path(file))
    except (OSError, UserCodeError):
        return []
    return _fitting(((f"{file}:{name}", "") for name in names), incomplete)


def _choices(annotation: Any) -> Iterable[str]:
    if annotation is bool:
        return ("true", "false")
    if get_origin(annotation) is Literal:
        return map(str, get_args(annotation))
    return ()


def _fitting(named: Iterable[tuple[str, str]], incomplete: str) -> list[Item]:
    return [Item(name, help=text or None) for name, text in named if name.startswith(incomplete)]
