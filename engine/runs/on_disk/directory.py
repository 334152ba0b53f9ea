"""Layout of a run's directory: create one, find runs."""

from __future__ import annotations

import math
import os
import re
import secrets
import shutil
import socket
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...config import RunConfig
from ...config.file import MAX_CONFIG_BYTES, load_config
from ...errors import ConfigError, RecordedRunError, RunError, UnknownRunError, did_you_mean
from ...files import documents
from ...files.durable import atomic_write, fsync_directory, make_folder
from ...files.json_values import number, numbers, numbers_restored, to_json, whole_number
from ...files.regular_file import read_regular_file
from ...machine.process_identity import boot_id, start_ticks
from ...run_files import CHECKPOINTS, CONFIG_FILE, INFO_FILE, STATE_FILE
from ...user_path import user_path
from .distant import distant_owner
from .lock import RunLock, acquire, is_held_here, lock_holder, trained_by
from .recorded_config import is_recorded
from .run_labels import read_labels
from .state_file import BestResult, StateFile

MAX_EVALUATION_BYTES = 64 << 20

# What a run's state says while a process works on it; without one, it died.
LIVE_STATUSES = ("preparing", "running", "paused")
ENDED_STATUSES = ("finished", "stopped", "failed")
# What is said of a run whose own word for it can't be read.
DAMAGED = "damaged"

_MAX_STATE_BYTES = 4 << 20
_LONGEST_SOURCE = 40
# The names of all classes are in it.
_MAX_INFO_BYTES = 16 << 20
TORCHDECK = "torchdeck"
"""The source of a run that torchdeck trained."""

# What a directory's name has after the given one: date, time and number.
_ADDED = re.compile(r"-\d{8}-\d{6}-([0-9a-f]{4})\Z")


@dataclass(frozen=True)
class RunSummary:
    """Summary of a run for lists.

    Attributes:
        name: name of the directory, which identifies the run.
        path: directory of the run.
        status: preparing, running, paused, finished, stopped, failed, died or damaged.
        epoch: current or last epoch; 0 before the first.
        epochs: number of epochs to train; 0 if unknown.
        step: completed optimizer steps.
        metrics: validation metrics of the newest completed epoch.
        best: the best epoch's `metric`, `value`, `epoch` and `step`; None before the first.
        started: time of creation, in seconds since 1970; 0 if unknown.
        modified: when it last wrote its state, in seconds since 1970.
        error: why it failed, or what is damaged of it, in one line or several; empty when it did not.
        tags: words that the user gave it.
        note: what the user wrote about it, in any number of lines; empty for nothing.
        source: what wrote it: "torchdeck" for a run that it trained, "recorded", or the name of another format.
    """

    name: str
    path: Path
    status: str
    epoch: int
    epochs: int
    step: int
    metrics: dict[str, float] = field(default_factory=dict)
    best: BestResult | None = None
    started: float = 0.0
    modified: float = 0.0
    error: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    source: str = TORCHDECK


def create_run_directory(
    root: Path,
    config_toml: str,
    info: dict[str, Any],
    name: str,
    *,
    before_it_shows: Callable[[Path], None] = lambda path: None,
) -> Path:
    """Make `root/<name>-<yyyymmdd-hhmmss>-<4 hex>/` with its config and information, in one step.

    Args:
        root: the folder that holds the runs; made when it isn't there.
        config_toml: the whole config, written as `run.toml`.
        info: content of `run.json`, written once; `id`, `name` and `created` are added.
        name: first part of the directory's name.
        before_it_shows: called with the directory while it still has its temporary name.

    Raises:
        RunError: the directory can't be made; the text has the system's reason.
    """
    temporary: Path | None = None
    try:
        make_folder(root)
        temporary = root / f".new-{os.getpid()}-{secrets.token_hex(4)}"
        make_folder(temporary / CHECKPOINTS)
        created = time.time()
        run_id = f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(created))}-{secrets.token_hex(2)}"
        atomic_write(temporary / CONFIG_FILE, config_toml.encode())
        identity = {"id": run_id, "name": name, "created": created}
        atomic_write(temporary / INFO_FILE, to_json({**identity, **info}, indent=2))
        before_it_shows(temporary)
        os.rename(temporary, root / run_id)
        fsync_directory(root)
    except OSError as error:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        reason = error.strerror or str(error)
        raise RunError(f"{root}: can't create a run directory there: {reason}; choose another with --runs") from error
    return root / run_id


def default_runs_root() -> Path:
    """The folder of the runs where none is named: $TORCHDECK_RUNS, else ./runs."""
    return Path(os.environ.get("TORCHDECK_RUNS", "runs"))


def find_run(root: Path, reference: str) -> Path:
    """The run that `reference` names.

    Args:
        root: the folder that holds the runs.
        reference: the path of a run's directory, its name, or a beginning of its name. Of several runs that were given
            the same name the newest is meant.

    Raises:
        RunError: there is none, or the beginning fits runs of different names.
    """
    as_path = user_path(reference)
    if is_run(as_path):
        return as_path
    names = [run.name for run in run_directories(root)]
    if reference in names:
        return root / reference
    same_name = [name for name in names if given_name(name) == reference]
    matching = same_name or [name for name in names if name.startswith(reference)]
    if not matching:
        hint = did_you_mean(reference, names) if names else ""
        raise UnknownRunError(f"{reference}: no such run in {root}{hint or '; there are none yet'}")
    if len({given_name(name) for name in matching}) > 1:
        shown = ", ".join(sorted(matching)[:6])
        words = f"{reference}: matches {len(matching)} runs in {root}: {shown}; write more of the name"
        raise UnknownRunError(words)
    return max((root / name for name in matching), key=_made)


def list_runs(root: Path) -> list[RunSummary]:
    """All runs in `root`, the newest first. Reads three small files and asks for one lock a run; never raises."""
    return newest_first([summarize_run(run) for run in run_directories(root)])


def newest_first(summaries: list[RunSummary]) -> list[RunSummary]:
    """Runs by when they were made."""
    return sorted(summaries, key=lambda summary: (summary.started, summary.name), reverse=True)


def summarize_run(run: Path, unparsed: set[str] | None = None) -> RunSummary:
    """One run, from the cache of its state, its config's soundness and its lock.

    Args:
        run: its directory.
        unparsed: gets the run's name if its config is left unparsed, as its writer noted no checksum that says whether
            it is sound; None to parse it.
    """
    found, state_damage = _read_object(run, STATE_FILE, _MAX_STATE_BYTES)
    info, info_damage = _read_object(run, INFO_FILE, _MAX_INFO_BYTES)
    state: StateFile = numbers_restored(found)
    started = _seconds(info.get("created"))
    crc = state.get("config_crc")
    if is_left := unparsed is not None and crc is None:
        unparsed.add(run.name)
    wrong_config = "" if is_left else config_damage(run, crc)
    damage = "\n".join(filter(None, (state_damage, info_damage, wrong_config)))
    labels = read_labels(run)
    return RunSummary(
        name=run.name,
        path=run,
        status=_summarized_status(run, state, is_damaged=bool(damage)),
        epoch=whole_number(state.get("epoch")),
        epochs=whole_number(state.get("epochs")),
        step=whole_number(state.get("step")),
        metrics=numbers(state.get("metrics")),
        best=_best(state.get("best")),
        started=started,
        modified=_seconds(state.get("updated")) or started,
        error=damage or str(state.get("error") or ""),
        tags=labels.tags,
        note=labels.note,
        source=source_of(info),
    )


def source_of(info: Mapping[str, Any]) -> str:
    """What wrote a run, from its `run.json`."""
    return str(info.get("source") or TORCHDECK)[:_LONGEST_SOURCE]


def _summarized_status(run: Path, state: StateFile, *, is_damaged: bool) -> str:
    # A run that says how it ended needs no look at its lock.
    has_ended = state.get("status") in ENDED_STATUSES and not is_damaged
    is_alive = not has_ended and _owner(run, state) is not None
    return status_of(state, is_alive=is_alive, is_damaged=is_damaged)


def owner_pid(run: Path) -> int | None:
    """The process that trains the run in directory `run`; None when nobody does.

    The kernel says who holds the run's lock. Where its file is gone, which cleaners of shared disks bring about, the
    process that the state names is asked for. 0 when it is alive in another pid namespace (a container), or was heard
    of a short while ago on another machine: its number means nothing here.
    """
    return _owner(run, read_state(run))


def refuse_trained(run: Path) -> None:
    """Raise RunError when a process trains the run, which says where."""
    state = read_state(run)
    if (owner := _owner(run, state)) is not None:
        distant = distant_owner(run, state) if owner == 0 else None
        raise RunError(trained_by(run, owner, distant.words if distant is not None else ""))


def own_run(run: Path) -> RunLock:
    """Take ownership of a run. Raises RunError when a live process trains it, OSError when it can't be locked.

    Whether one on another machine does, nothing here can tell for sure: `refuse_trained` is asked before.
    """
    if not is_held_here(run) and (owner := _owner_here(run, read_state(run))) is not None:
        raise RunError(trained_by(run, owner))
    return acquire(run)


def _owner(run: Path, state: StateFile) -> int | None:
    owner = _owner_here(run, state)
    if owner is None and (distant := distant_owner(run, state)) is not None and distant.is_heard:
        return 0
    return owner


def _owner_here(run: Path, state: StateFile) -> int | None:
    holder = lock_holder(run)
    return holder if holder is not None else _process_of(run, state)


def _process_of(run: Path, state: StateFile) -> int | None:
    """The process that a state names as the run's, if it lives on this machine and is the same one."""
    pid, started = state.get("pid"), state.get("pid_started")
    if state.get("status") in ENDED_STATUSES or type(pid) is not int or type(started) is not int:
        return None
    if state.get("host") != socket.gethostname() or state.get("boot_id") != boot_id():
        return None
    if pid == os.getpid():
        return pid if is_held_here(run) else None
    return pid if start_ticks(pid) == started else None


def status_of(state: StateFile, *, is_alive: bool, is_damaged: bool = False) -> str:
    """Status of a run: from its state file, "died" if that is live but no process holds the lock, or "damaged".

    Args:
        state: the content of its state file.
        is_alive: whether a process trains it.
        is_damaged: whether its state or its information can't be read.
    """
    if is_damaged and not is_alive:
        return DAMAGED
    status = state.get("status")
    if status in ENDED_STATUSES:
        return str(status)
    if not is_alive:
        return "died"
    return str(status) if status in LIVE_STATUSES else "preparing"


def read_state(run: Path) -> StateFile:
    """The content of `state.json`; empty when it isn't there or is damaged, as it is only a cache."""
    state: StateFile = numbers_restored(read_json_object(run / STATE_FILE))
    return state


def read_info(run: Path) -> dict[str, Any]:
    """The content of `run.json`: id, argv, versions, host, classes, sizes; empty when it can't be read."""
    return read_json_object(run / INFO_FILE, _MAX_INFO_BYTES)


def read_json_object(path: Path, max_bytes: int = _MAX_STATE_BYTES) -> dict[str, Any]:
    """A JSON object from a file; empty when there is none that can be read."""
    return _read_object(path.parent, path.name, max_bytes)[0]


def damage_of(run: Path) -> list[str]:
    """What of a run's own files is there and can't be read, each with the reason; empty as it should be."""
    state, state_damage = _read_object(run, STATE_FILE, _MAX_STATE_BYTES)
    info_damage = _read_object(run, INFO_FILE, _MAX_INFO_BYTES)[1]
    found = (state_damage, info_damage, config_damage(run, numbers_restored(state).get("config_crc")))
    return [words for words in found if words]


def config_damage(run: Path, known_crc: int | None = None) -> str:
    """Why a run's config can't be read, as a sentence; empty as it should be.

    Args:
        run: its directory.
        known_crc: the CRC-32 of a config that is sound, as its writer noted it.
    """
    try:
        content = read_regular_file(f"{run}/{CONFIG_FILE}", MAX_CONFIG_BYTES, follow_links=True)
        if known_crc is not None and zlib.crc32(content) == known_crc:
            return ""
        # Torn off at its beginning, it is a valid file of defaults, which no run ever had.
        return "" if documents.parse_toml(documents.decoded(content)) else f"damaged: {CONFIG_FILE}: is empty"
    except (OSError, documents.DocumentError) as error:
        return _said(CONFIG_FILE, error)


def load_run_config(run: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """The config of the run in directory `run`, with `KEY=VALUE` overrides applied.

    Raises:
        RecordedRunError: it was only recorded, so that there is no config of torchdeck's.
        ConfigError: its config is damaged, with what to do about it, or an override is not allowed.
    """
    if is_recorded(read_settings_file(run)):
        raise RecordedRunError(
            f"{run.name}: was trained by another program, which torchdeck only recorded: it has no config of "
            "torchdeck's, so it can't be resumed, forked or evaluated here; start it again with its own program"
        )
    if damage := config_damage(run):
        raise ConfigError(
            f"{run.name}: {damage}; put an earlier one (run.N.toml) in its place, or start a new run from the last "
            f"checkpoint, which holds the config too: torchdeck fork {run.name}"
        )
    return load_config(str(run / CONFIG_FILE), overrides)


def read_settings_file(run: Path) -> dict[str, Any]:
    """The content of a run's `run.toml`, unchecked; empty when it can't be read."""
    try:
        return documents.read_toml(run / CONFIG_FILE, MAX_CONFIG_BYTES, follow_links=True)
    except (OSError, documents.DocumentError):
        return {}


def _read_object(folder: Path, name: str, max_bytes: int) -> tuple[dict[str, Any], str]:
    """A JSON object from a file, empty when there is none that can be read, and why it can't where there is one."""
    try:
        # As text: of thousands of runs, making paths takes as long as reading them.
        return documents.read_json_object(f"{folder}/{name}", max_bytes), ""
    except FileNotFoundError:
        return {}, ""
    except (OSError, documents.DocumentError) as error:
        return {}, _said(name, error)


def _said(name: str, error: OSError | documents.DocumentError) -> str:
    reason = (error.strerror or str(error)) if isinstance(error, OSError) else str(error)
    return f"damaged: {name}: {reason}"


def is_run(path: Path) -> bool:
    """Whether `path` is a run's directory."""
    base = str(path)
    return os.path.isfile(f"{base}/{CONFIG_FILE}") and os.path.isdir(f"{base}/{CHECKPOINTS}")


def split_run_id(run_id: str) -> tuple[str, str]:
    """The name that a run was given, and the number that makes it unique.

    The number is empty for a directory that was named by hand: then its whole name is the run's.
    """
    found = _ADDED.search(run_id)
    return (run_id[: found.start()], found[1]) if found else (run_id, "")


def given_name(run_id: str) -> str:
    """The name a run was given: its directory's name without date, time and number."""
    return split_run_id(run_id)[0]


def run_directories(root: Path, is_known: Callable[[str], bool] = lambda name: False) -> list[Path]:
    """The directories of runs in `root`; of those whose name `is_known` nothing more is looked at."""
    try:
        with os.scandir(root) as entries:
            folders = [
                Path(entry.path)
                for entry in entries
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            ]
    except OSError:
        return []
    return [folder for folder in folders if is_known(folder.name) or is_run(folder)]


def _made(run: Path) -> float:
    """When a run was made: written once, in `run.json`."""
    return _seconds(read_info(run).get("created"))


def _seconds(value: Any) -> float:
    seconds = number(value)
    return seconds if seconds is not None and math.isfinite(seconds) else 0.0


def _best(value: Any) -> BestResult | None:
    reached = number(value.get("value")) if isinstance(value, dict) else None
    if reached is None:
        return None
    epoch, step = whole_number(value.get("epoch")), whole_number(value.get("step"))
    return {"metric": str(value.get("metric")), "value": reached, "epoch": epoch, "step": step}
