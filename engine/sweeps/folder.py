"""A sweep's folder: `sweeps/<name>-<stamp>/` in the folder of the runs, for every machine that sees it.

sweep.toml        the run that is varied, and [sweep]; read anew before each trial, so it may be edited
sweep.json        name and time of creation
control.json      whether workers work, pause or stop
journal.log       the trials, as Optuna keeps them, unless [sweep] names a database
trials/N.toml     config of a trial; N.log: what its processes printed
trials/N.lock     held by the worker of the trial; N.run by the process that trains it
trials/N.prune    asks the worker to stop the trial
workers/N.json    what a worker does, while it holds N.lock
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..config.file import dump_config
from ..config.sweep import SWEEP_SECTION
from ..detached.file_lock import is_locked
from ..errors import ConfigError, RunError, did_you_mean
from ..files.durable import atomic_write, make_folder
from ..files.json_values import number, to_json, whole_number
from ..launching.absolute_paths import with_absolute_paths
from ..runs.on_disk.directory import given_name, read_json_object
from ..user_path import user_path
from .definition import Definition, read_definition
from .space import flat_space

SWEEPS = "sweeps"
DEFINITION_FILE = "sweep.toml"
IDENTITY_FILE = "sweep.json"
CONTROL_FILE = "control.json"
JOURNAL_FILE = "journal.log"

Wish = Literal["work", "pause", "stop"]
_WISHES: tuple[Wish, ...] = ("work", "pause", "stop")


@dataclass(frozen=True)
class WorkerState:
    """What a live worker does.

    Attributes:
        slot: its number in this sweep.
        pid: its process.
        host: the machine.
        trial: number of the trial that it works on; None for none.
        run: name of the run that it watches; empty for none.
        device: the GPU that its runs use; empty for any.
    """

    slot: int
    pid: int
    host: str
    trial: int | None
    run: str
    device: str


class SweepFolder:
    """Paths, settings and requests of one sweep.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        """A folder that is there. Raises ConfigError where it is no sweep's."""
        if not is_sweep(path):
            raise ConfigError(f"{path}: is not the folder of a sweep: it has no {DEFINITION_FILE}")
        self.path = path

    @property
    def name(self) -> str:
        """Name of the folder, which identifies the sweep."""
        return self.path.name

    @property
    def runs_root(self) -> Path:
        """The folder of the runs that the trials make."""
        return self.path.parent.parent

    @property
    def journal(self) -> Path:
        """The file of the trials, where no database is named."""
        return self.path / JOURNAL_FILE

    @property
    def ask_lock(self) -> Path:
        """Held while a worker takes a trial, so that two don't take the same one or one too many."""
        return self.path / "ask.lock"

    def definition(self) -> Definition:
        """What the sweep is at the moment. Raises ConfigError where its file was damaged by an edit."""
        return read_definition(str(self.path / DEFINITION_FILE))

    def redefine(self, definition: Definition) -> None:
        """Put another definition in place; workers read it before their next trial. Raises RunError."""
        _write(self.path / DEFINITION_FILE, dump_definition(definition).encode(), mode=0o600)

    def created(self) -> float:
        """When it was made, in seconds since 1970; 0 if that is not known."""
        return number(read_json_object(self.path / IDENTITY_FILE).get("created")) or 0.0

    def wish(self) -> Wish:
        """What workers shall do."""
        wish = read_json_object(self.path / CONTROL_FILE).get("wish")
        return next((known for known in _WISHES if known == wish), "work")

    def wish_reason(self) -> str:
        """Why workers were told to stop; empty where a user did."""
        return str(read_json_object(self.path / CONTROL_FILE).get("reason", ""))

    def set_wish(self, wish: Wish, reason: str = "") -> None:
        """Tell the workers, on every machine, to work, to start no further trial, or to save and stop."""
        _write(self.path / CONTROL_FILE, to_json({"wish": wish, "reason": reason}))

    def trial_file(self, trial: int, ending: str) -> Path:
        """A file of a trial: its toml, log, lock, run or prune."""
        return self.path / "trials" / f"{trial:04d}.{ending}"

    def prune(self, trial: int) -> None:
        """Ask the trial's worker to stop it."""
        _write(self.trial_file(trial, "prune"), b"")

    def worker_file(self, slot: int, ending: str) -> Path:
        """A file of a worker: its lock, json or log."""
        return self.path / "workers" / f"{slot}.{ending}"

    def workers(self) -> list[WorkerState]:
        """The live workers, on every machine that shares the folder."""
        found = []
        for file in sorted((self.path / "workers").glob("*.json")):
            if file.stem.isdecimal() and is_locked(file.with_suffix(".lock")):
                found.append(_worker_state(int(file.stem), read_json_object(file)))
        return found

    def is_worked_on(self) -> bool:
        """Whether a worker lives."""
        return any(is_locked(lock) for lock in (self.path / "workers").glob("*.lock"))


def create_sweep(runs_root: Path, definition: Definition) -> SweepFolder:
    """Make a sweep's folder. Its workers may be started then. Raises RunError where that is impossible."""
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    path = runs_root / SWEEPS / f"{definition.config.name}-{stamp}"
    try:
        for folder in (path / "trials", path / "workers"):
            make_folder(folder)
    except OSError as error:
        raise RunError(
            f"{path}: can't be made: {error.strerror or error}; choose another folder with --runs"
        ) from error
    _write(path / IDENTITY_FILE, to_json({"name": definition.config.name, "created": time.time()}))
    _write(path / DEFINITION_FILE, dump_definition(definition).encode(), mode=0o600)
    return SweepFolder(path)


def is_sweep(path: Path) -> bool:
    """Whether `path` is a sweep's folder."""
    return (path / DEFINITION_FILE).is_file() and (path / "trials").is_dir()


def list_sweeps(runs_root: Path) -> list[SweepFolder]:
    """The sweeps in a folder of runs, the newest first."""
    try:
        paths = [Path(entry.path) for entry in os.scandir(runs_root / SWEEPS) if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    sweeps = [SweepFolder(path) for path in paths if is_sweep(path)]
    return sorted(sweeps, key=lambda sweep: (sweep.created(), sweep.name), reverse=True)


def find_sweep(runs_root: Path, reference: str = "") -> SweepFolder:
    """The sweep that `reference` names: a path, a name or its beginning; the newest of several, or of all without one.

    Raises:
        ConfigError: there is none.
    """
    if reference and is_sweep(path := user_path(reference)):
        return SweepFolder(path)
    sweeps = list_sweeps(runs_root)
    matching = [sweep for sweep in sweeps if reference in (sweep.name, given_name(sweep.name))]
    matching = matching or [sweep for sweep in sweeps if sweep.name.startswith(reference)]
    if not matching:
        names = [sweep.name for sweep in sweeps]
        hint = did_you_mean(reference, names) if names else "; torchdeck sweep FILE.toml starts one"
        what = f"{reference}: no such sweep" if reference else "there is no sweep"
        raise ConfigError(f"{what} in {runs_root / SWEEPS}{hint}")
    return matching[0]


def dump_definition(definition: Definition) -> str:
    """The content of `sweep.toml`: the whole run, and [sweep] with its space at the end."""
    import tomlkit

    sweep = definition.sweep.model_dump()
    space = sweep.pop("space")
    document = tomlkit.document()
    table = tomlkit.table()
    table.update(sweep)
    entries = tomlkit.table()
    for key, given in flat_space(space).items():
        entries.add(key, _entry(given))
    table.add("space", entries)
    document.add(SWEEP_SECTION, table)
    return f"{dump_config(with_absolute_paths(definition.config))}\n{tomlkit.dumps(document)}"


def _entry(given: Any) -> Any:
    import tomlkit

    if not isinstance(given, dict):
        return given
    entry = tomlkit.inline_table()
    entry.update(given)
    return entry


def _worker_state(slot: int, values: dict[str, Any]) -> WorkerState:
    trial = values.get("trial")
    return WorkerState(
        slot,
        whole_number(values.get("pid")),
        str(values.get("host", "")),
        trial if isinstance(trial, int) else None,
        str(values.get("run", "")),
        str(values.get("device", "")),
    )


def _write(path: Path, content: bytes, mode: int = 0o644) -> None:
    try:
        atomic_write(path, content, mode=mode)
    except OSError as error:
        raise RunError(f"{path}: can't be written: {error.strerror or error}") from error
