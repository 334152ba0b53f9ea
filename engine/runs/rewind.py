"""Rewind a run's directory to the step it resumes from. Nothing is deleted: later records are moved aside."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..config.file import dump_config, parse_config
from ..config.secret_settings import with_secrets_kept
from ..errors import ConfigError
from ..files.documents import DocumentError, parse_json
from ..files.durable import (
    SYSTEM,
    FileOperations,
    atomic_write,
    fsync_directory,
    make_folder,
    remove_temporary_files,
    replace_with_link,
)
from ..files.json_values import to_json
from ..files.regular_file import open_regular_file
from ..run_files import (
    BEST_FILE,
    CHECKPOINTS,
    CONFIG_FILE,
    EVALUATION_FILE,
    EVENTS_FILE,
    LAST_FILE,
    METRICS_FILE,
    PROBES_FILE,
)
from .on_disk.directory import MAX_EVALUATION_BYTES, read_json_object
from .on_disk.metrics_record import ResultRecord
from .saving.checkpoint_index import list_checkpoints, read_index, rebuilt_index, write_index
from .saving.pins import pin_name


def take_back(
    run: Path,
    at_step: int,
    config_toml: str,
    operations: FileOperations = SYSTEM,
    *,
    at_epoch: int | None = None,
    evaluated_step: int | None = None,
) -> None:
    """Make the run's files say what they said when step `at_step` was done.

    Records of later steps move to `metrics.<n>.jsonl`, `events.<n>.jsonl` and `probes.<n>.jsonl` (the whole old file
    each), later checkpoints to `checkpoints/before-resume.<n>/`, and another config to `run.<n>.toml`. Half a last
    line, left by a killed writer, is cut off. Interrupted at any point, it can be done again.

    Args:
        run: the run's directory, owned by this process.
        at_step: the last step that stays.
        config_toml: config to continue with.
        operations: the system calls.
        at_epoch: epochs completed there; None for every epoch that ended by that step. The last step of an epoch is
            done before the epoch is, so its record is rewound if the run resumes in between.
        evaluated_step: the last step whose evaluation stays; None for every one up to `at_step`.

    Raises:
        OSError: a file can't be written.
    """
    number = _next_number(run)
    for folder in (run, run / CHECKPOINTS):
        remove_temporary_files(folder)
    for name in (METRICS_FILE, EVENTS_FILE, PROBES_FILE):
        _take_back_lines(run / name, _Place(at_step, at_epoch, evaluated_step), number, operations)
    _put_evaluation_aside(run, at_step, number)
    _put_checkpoints_aside(run, at_step, number, operations)
    _replace_config(run, config_toml, number, operations)


def replace_config(run: Path, config_toml: str, operations: FileOperations = SYSTEM) -> None:
    """Replace `run.toml` and keep the previous file as `run.<n>.toml`. Raises OSError."""
    _replace_config(run, config_toml, _next_number(run), operations)


def _replace_config(run: Path, config_toml: str, number: int, operations: FileOperations) -> None:
    config, aside = run / CONFIG_FILE, run / f"run.{number}.toml"
    before = config.read_text(encoding="utf-8")
    if before == config_toml:
        return
    if before == (without := _without_secrets(before, str(config))):
        operations.link(config, aside)
    else:
        atomic_write(aside, without.encode(), operations=operations)
    atomic_write(config, config_toml.encode(), operations=operations)


def _without_secrets(config_toml: str, place: str) -> str:
    """A config's text with references in place of the secrets that an editor or an older version left in it."""
    try:
        before = parse_config(config_toml, place)
    except ConfigError:
        # Of a version with other settings: it stays as it is.
        return config_toml
    after = with_secrets_kept(before)
    return config_toml if after is before else dump_config(after)


def newest_results(run: Path) -> tuple[dict[str, float], ResultRecord | None]:
    """The newest metrics in the records of `metrics.jsonl`, and the best record; see `StateFile`."""
    metrics: dict[str, float] = {}
    best: ResultRecord | None = None
    for line in _whole_lines(run / METRICS_FILE):
        record = _record(line)
        if record is not None and record.get("kind") in ("epoch", "evaluation") and record.get("validation", {}):
            metrics = record["validation"]
            best = cast("ResultRecord", record) if record.get("is_best") else best
    return metrics, best


@dataclass(frozen=True)
class _Place:
    """Position that a run resumes from; see `take_back`."""

    step: int
    epoch: int | None
    evaluated_step: int | None


def _put_evaluation_aside(run: Path, at_step: int, number: int) -> None:
    path = run / EVALUATION_FILE
    evaluation = read_json_object(path, MAX_EVALUATION_BYTES)
    if isinstance(evaluation.get("step"), int) and evaluation["step"] > at_step:
        path.rename(run / f"evaluation.{number}.json")


def _take_back_lines(path: Path, place: _Place, number: int, operations: FileOperations) -> None:
    try:
        descriptor = open_regular_file(path)
    except FileNotFoundError:
        return
    with os.fdopen(descriptor, "rb") as file:
        content = file.read()
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.splitlines(keepends=True)
    kept = [part for line in lines if (part := _up_to(line, place))]
    if kept == lines and whole == content:
        return
    if kept != lines:
        operations.link(path, path.with_name(f"{path.stem}.{number}{path.suffix}"))
    atomic_write(path, b"".join(kept), operations=operations)


def _up_to(line: bytes, place: _Place) -> bytes:
    """A line as it stays: as it is, cut to the steps that stay, or empty."""
    record, at_step = _record(line), place.step
    step = record.get("step") if record is not None else None
    if record is not None and _is_of_later_result(record, place):
        return b""
    if record is None or not isinstance(step, int) or step <= at_step:
        return line
    losses = record.get("loss")
    first = step - len(losses) + 1 if isinstance(losses, list) else step
    if record.get("kind") != "train" or first > at_step:
        return b""
    count = at_step - first + 1
    share = count / (step - first + 1)
    shortened = {
        # Every list of a block has an entry per step.
        key: value[:count] if isinstance(value, list) else value
        for key, value in record.items()
    }
    for key in ("seconds", "samples", "images"):
        if isinstance(record.get(key), int | float):
            shortened[key] = type(record[key])(record[key] * share)
    return to_json({**shortened, "step": at_step}) + b"\n"


def _is_of_later_result(record: dict[str, Any], place: _Place) -> bool:
    """Whether it is of an epoch or an evaluation that is done again from here."""
    kind, epoch, step = record.get("kind"), record.get("epoch"), record.get("step")
    if kind == "epoch" and place.epoch is not None:
        return isinstance(epoch, int) and epoch > place.epoch
    if kind == "evaluation" and place.evaluated_step is not None:
        return isinstance(step, int) and step > place.evaluated_step
    return False


def _put_checkpoints_aside(run: Path, at_step: int, number: int, operations: FileOperations) -> None:
    folder = run / CHECKPOINTS
    checkpoints = list_checkpoints(run)
    later = [checkpoint for checkpoint in checkpoints if checkpoint.step > at_step]
    if not later:
        return
    index = rebuilt_index(folder, read_index(folder))
    staying = {name: entry for name, entry in index.items() if entry.step <= at_step}
    # First the names that stay: interrupted after this, the next attempt still finds what is to be moved.
    for name, is_stale, candidates in (
        (LAST_FILE, any(checkpoint.is_last for checkpoint in later), list(staying)),
        (
            BEST_FILE,
            any(checkpoint.is_best for checkpoint in later),
            [file for file, entry in staying.items() if entry.was_best],
        ),
    ):
        if is_stale and candidates:
            newest = max(candidates, key=lambda file: staying[file].step)
            replace_with_link(folder / newest, folder / name, operations)
    aside = folder / f"before-resume.{number}"
    make_folder(aside)
    moved = {checkpoint.file for checkpoint in later}
    moved |= {name for name in (LAST_FILE, BEST_FILE) if any(_is_same(folder, name, file) for file in moved)}
    moved |= {pin_name(file) for file in moved}
    for file in sorted(moved):
        if (folder / file).exists():
            operations.rename(folder / file, aside / file)
    write_index(folder, staying, operations)
    for changed in (aside, folder):
        fsync_directory(changed, operations)


def _is_same(folder: Path, name: str, file: str) -> bool:
    return (folder / name).exists() and os.path.samefile(folder / name, folder / file)


def _next_number(run: Path) -> int:
    """One above every number that something was put aside with."""
    names = [path.name for folder in (run, run / CHECKPOINTS) for path in folder.iterdir()]
    numbers = [
        int(match[1]) for name in names if (match := re.search(r"\.(\d{1,9})(?:\.jsonl|\.json|\.toml|)$", name))
    ]
    return max(numbers, default=0) + 1


def _whole_lines(path: Path) -> list[bytes]:
    try:
        with os.fdopen(open_regular_file(path), "rb") as file:
            content = file.read()
    except OSError:
        return []
    return content[: content.rfind(b"\n") + 1].splitlines()


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        value = parse_json(line)
    except DocumentError:
        return None
    return value if isinstance(value, dict) else None
