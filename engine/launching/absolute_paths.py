"""Make the paths of a config absolute, so that a run can be repeated and resumed from any folder."""

from __future__ import annotations

from ..config import RunConfig
from ..config.code_names import with_code_names
from ..config.file import config_from_values
from ..data.datasets.catalog import find_dataset
from ..user_code import is_user_spec
from ..user_path import user_path


def with_absolute_paths(config: RunConfig) -> RunConfig:
    """`config` with every path to a folder or file made absolute, against the current directory."""
    values = with_code_names(config, _absolute_name)
    data, model, loader = values["data"], values["model"], values["loader"]
    data["root"], data["cache"] = _absolute(data["root"]), _absolute(data["cache"])
    if find_dataset(data["dataset"]) is None and user_path(data["dataset"]).exists():
        data["dataset"] = _absolute(data["dataset"])
    for name in ("weights", "subset"):
        if user_path(loader[name]).is_file():
            loader[name] = _absolute(loader[name])
    if values["start_from"]:
        values["start_from"] = _absolute(values["start_from"])
    if model["weights"]:
        model["weights"] = _absolute(model["weights"])
    return config_from_values(values)


def _absolute_name(name: str) -> str:
    """`path/to/file.py:name` with an absolute path; the name of a catalog, or an unknown one, as it was written."""
    if is_user_spec(name) and ":" in name:
        path, _, factory = name.rpartition(":")
        return f"{_absolute(path)}:{factory}"
    return name


def _absolute(path: str) -> str:
    return str(user_path(path).absolute())
