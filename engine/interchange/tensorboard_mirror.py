"""A run's curves as TensorBoard event files, from the records in its directory, once or as long as it lives.

    python -m torchdeck.engine.interchange.tensorboard_mirror RUN [FOLDER]

A live run's mirror is a process of its own, so that writing it takes nothing from the training. A point of a training
curve is the mean of the steps of one record, about five records per second.
"""

from __future__ import annotations

import fcntl
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from ..files.durable import make_folder
from ..files.json_values import numbers_restored
from ..files.regular_file import held_folder
from ..machine.installation import install_command
from ..machine.python_process import module_command
from ..metric_names import TRAINING_SCORE
from ..run_files import METRICS_FILE
from ..runs.on_disk.directory import ENDED_STATUSES, read_info
from ..runs.on_disk.line_tail import LineTail
from ..runs.reader import RunReader

FOLDER = "tensorboard"

_SUFFIX = ".torchdeck"
_LOOK_SECONDS = 1.0

Scalars = dict[str, float]


def require_tensorboard() -> None:
    """Raise ConfigError when TensorBoard isn't installed."""
    if find_spec("tensorboard") is None:
        raise ConfigError(
            "mirror.tensorboard = true needs the package tensorboard, which is not installed: "
            f"{install_command(extra='tensorboard')}"
        )


def start_mirror(run: Path) -> subprocess.Popen[bytes]:
    """Mirror a run into its folder `tensorboard` from another process, which ends with the run."""
    command = module_command("torchdeck.engine.interchange.tensorboard_mirror", str(run))
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)


def mirror(run: Path, folder: Path, *, follow: bool) -> int:
    """Write the event files of a run from its start, and follow it while it is live.

    Args:
        run: the run's directory.
        folder: where to write; event files of an earlier mirror in it are removed.
        follow: until the run has ended.

    Returns:
        The scalars written.

    Raises:
        ConfigError: TensorBoard is not installed.
        OSError: the folder can't be written to.
    """
    require_tensorboard()
    make_folder(folder)
    # The writer opens its file by name for every write; the folder moves when the run's directory is renamed.
    with held_folder(folder.resolve()) as held, _alone_in(held):
        return _mirror_into(held, run, follow=follow)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait for a mirror that still follows the run: it goes on when the run is resumed before it saw the end."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _mirror_into(folder: Path, run: Path, *, follow: bool) -> int:
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    tail, reader, created = LineTail(run / METRICS_FILE), RunReader(run), _created(run)
    count = 0
    while True:
        _remove_earlier(folder)
        writer = EventFileWriter(str(folder), filename_suffix=_SUFFIX)
        try:
            while True:
                # Asked before reading, so that the last records of a run that ends meanwhile are read.
                has_ended = reader.status() in (*ENDED_STATUSES, "died")
                # It may have been renamed.
                tail.path = reader.path / METRICS_FILE
                if tail.look():
                    if tail.was_replaced:
                        break
                    for record in tail.read():
                        count += _write(writer, numbers_restored(record), created)
                    writer.flush()
                if has_ended or not follow:
                    return count
                time.sleep(_LOOK_SECONDS)
        finally:
            writer.close()


def scalars(record: dict[str, Any]) -> Iterator[tuple[int, Scalars]]:
    """A record's figures by step and tag; none for a record that isn't of the usual form."""
    try:
        if record["kind"] == "train":
            rates = record["lr"] if isinstance(record["lr"], list) else [record["lr"]]
            names = ("loss", *(name for name in dict.fromkeys(TRAINING_SCORE.values()) if name in record))
            yield int(record["step"]), {**{f"train/{name}": _mean(record[name]) for name in names}, "lr": rates[-1]}
        elif record["kind"] in ("epoch", "evaluation"):
            figures = {
                f"{part}/{name}": float(value)
                for part in ("train", "validation", "ema")
                for name, value in record.get(part, {}).items()
                # Of these there is a curve over steps.
                if part != "train" or name not in ("loss", *TRAINING_SCORE.values())
            }
            yield int(record["step"]), {**figures, "epoch": float(record["epoch"])}
    except (KeyError, TypeError, ValueError, AttributeError):
        return


def _write(writer: Any, record: dict[str, Any], created: float) -> int:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

    count = 0
    for step, values in scalars(record):
        entries = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        count += len(entries)
        writer.add_event(Event(wall_time=created + float(record["t"]), step=step, summary=Summary(value=entries)))
    return count


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _created(run: Path) -> float:
    created = read_info(run).get("created")
    return float(created) if isinstance(created, int | float) else time.time()


def _remove_earlier(folder: Path) -> None:
    for file in folder.glob(f"*tfevents*{_SUFFIX}"):
        file.unlink(missing_ok=True)


if __name__ == "__main__":
    run = Path(sys.argv[1])
    mirror(run, Path(sys.argv[2]) if len(sys.argv) > 2 else run / FOLDER, follow=True)
