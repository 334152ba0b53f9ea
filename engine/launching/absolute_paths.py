"""A config whose paths hold wherever it is read from, so that a run can be repeated and resumed from any folder."""

from __future__ import annotations

from typing import Any

from ..config import Component, RunConfig
from ..config.file import config_from_values, config_values
from ..data.datasets.catalog import find_dataset
from ..user_code import is_user_spec
from ..user_path import user_path


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """`config` with every path to a folder or file made absolute, against the current directory."""
    values = config_values(config)
    data, model = values["data"], values["model"]
    data["root"], data["cache"] = _absolute(data["root"]), _absolute(data["cache"])
    if find_dataset(data["dataset"]) is None:
        data["dataset"] = _absolute_name(data["dataset"], may_be_folder=True)
    for name in ("train_transforms", "eval_transforms"):
        data[name] = [_with_absolute_name(step) for step in getattr(config.data, name)]
    values["callbacks"] = [_with_absolute_name(callback) for callback in config.callbacks]
    model["name"] = _absolute_name(model["name"])
    values["loss"]["name"] = _absolute_name(values["loss"]["name"])
    loader = values["loader"]
    for name in ("worker_init", "collate_fn", "batch_sampler", "weights", "subset"):
        loader[name] = _absolute_name(loader[name], may_be_file=True)
    if values["start_from"]:
        values["start_from"] = _absolute(values["start_from"])
    if model["weights"]:
        model["weights"] = _absolute(model["weights"])
    return config_from_values(values)


def _with_absolute_name(step: Component) -> dict[str, Any]:
    return {**step.model_dump(), "name": _absolute_name(step.name)}


def _absolute_name(name: str, *, may_be_folder: bool = False, may_be_file: bool = False) -> str:
    """`path/to/file.py:factory`, and where folders or files are taken as well one of those, with an absolute path.

    What is neither stays as it was written, for the message that it is unknown.
    """
    if is_user_spec(name) and ":" in name:
        path, _, factory = name.rpartition(":")
        return f"{_absolute(path)}:{factory}"
    if may_be_file and user_path(name).is_file():
        return _absolute(name)
    return _absolute(name) if may_be_folder and user_path(name).is_dir() else name


def _absolute(path: str) -> str:
    return str(user_path(path).absolute())
