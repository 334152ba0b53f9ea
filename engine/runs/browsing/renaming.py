"""Giving a run another name: its directory, and what it says of itself."""

from __future__ import annotations

import os
from pathlib import Path

from ...config import RunConfig
from ...config.file import dump_config, replace_value
from ...config.secret_settings import with_secrets_kept
from ...errors import RecordedRunError, RunError
from ...files.durable import atomic_write, fsync_directory
from ...files.json_values import to_json
from ...run_files import CONFIG_FILE, INFO_FILE
from ..on_disk.directory import (
    given_name,
    is_run,
    load_run_config,
    own_run,
    read_info,
    read_settings_file,
    refuse_trained,
)
from ..on_disk.recorded_config import RECORDED, recorded_toml


def rename_run(run: Path, name: str) -> Path:
    """Rename a run that is not training. Date and number at the end of its directory's name stay.

    Args:
        run: its directory.
        name: the new name, as `name` in a config.

    Returns:
        The new directory.

    Raises:
        ConfigError: the name is not allowed, or the config of the run is damaged.
        RunError: a live process trains it, there is such a run already, or the system refuses.
    """
    if not is_run(run):
        raise RunError(f"{run}: is not the directory of a run")
    name = replace_value(RunConfig(), "name", name).name
    config_toml = _renamed_config(run, name)
    target = run.with_name(f"{name}{run.name.removeprefix(given_name(run.name))}")
    if target == run:
        return run
    try:
        refuse_trained(run)
        lock = own_run(run)
        try:
            if os.path.lexists(target):
                raise RunError(f"{target.name}: a run of that name already exists")
            atomic_write(lock.held / CONFIG_FILE, config_toml.encode())
            # A file that can't be read stays unchanged: its content exists nowhere else.
            if info := read_info(lock.held):
                said = {**info, "id": target.name, "name": name}
                atomic_write(lock.held / INFO_FILE, to_json(said, indent=2))
            os.rename(run, target)
            fsync_directory(run.parent)
        finally:
            lock.release()
    except OSError as error:
        raise RunError(f"{run.name}: can't be renamed: {error.strerror or error}") from error
    return target


def _renamed_config(run: Path, name: str) -> str:
    """The content of its `run.toml` with another name. Raises ConfigError."""
    try:
        return dump_config(with_secrets_kept(replace_value(load_run_config(run), "name", name)))
    except RecordedRunError:
        return recorded_toml(name, read_settings_file(run)[RECORDED])[0]
