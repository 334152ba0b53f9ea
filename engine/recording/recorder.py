"""Two lines in anybody's loop: `run = torchdeck.record("name")` and `run.log(loss=loss)`."""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from ..config import RunConfig
from ..config.file import replace_value
from ..errors import RunError
from ..runs.commands import Command
from ..runs.on_disk.directory import create_run_directory, default_runs_root
from ..runs.on_disk.lock import RunLock, acquire
from ..runs.on_disk.recorded_config import recorded_toml
from ..runs.owner import RunOwner, first_state
from ..runs.provenance import describe_origin
from .composition import Composition, Entry
from .figures import PLAIN, taken
from .scribe import Saved, Scribe

SOURCE = "recorded"

Ending = Literal["finished", "stopped", "failed"]


def record(
    name: str,
    config: object = None,
    *,
    runs: str | Path | None = None,
    epochs: int = 0,
    steps: int = 0,
    best_metric: str = "",
    larger_is_better: bool | None = None,
    rank: int | None = None,
) -> Recorder:
    """Record a training loop of your own: a run's directory that everything in torchdeck shows as it shows its own.

    In a process with a rank other than 0 nothing is recorded, and every method does nothing.

    Args:
        name: name of the run.
        config: settings, for the list of runs and comparisons: a dict, a dataclass, an argparse.Namespace, …
        runs: the folder for the run's directory; None for $TORCHDECK_RUNS, else ./runs.
        epochs: number of epochs that will be trained; 0 if not known.
        steps: number of steps that will be trained; 0 if not known.
        best_metric: validation metric that picks the best, such as "accuracy"; empty for the most telling one.
        larger_is_better: whether that is better when larger; None to tell it by its name.
        rank: number of this process among those that train together; None to read RANK or LOCAL_RANK, which torchrun
            sets.

    Raises:
        Error: the name is not allowed, or the directory can't be made. Nothing that follows raises.
    """
    if _rank() if rank is None else rank:
        replace_value(RunConfig(), "name", name)
        return Recorder(None)
    root = Path(runs) if runs is not None else default_runs_root()
    composition = Composition(time.monotonic(), best_metric, larger=larger_is_better)
    return start_recording(name, config, root, composition, SOURCE, epochs=epochs, steps=steps)


def start_recording(
    name: str, config: object, root: Path, composition: Composition, source: str, *, epochs: int = 0, steps: int = 0
) -> Recorder:
    """Make the directory of a recorded run and own it.

    Args:
        name: name of the run.
        config: settings of its program.
        root: the folder that holds the runs.
        composition: composes the records.
        source: what is recorded, for the column of sources.
        epochs: number of epochs that will be trained; 0 if not known.
        steps: number of steps that will be trained; 0 if not known.

    Raises:
        Error: the name is not allowed, or the directory can't be made.
    """
    replace_value(RunConfig(), "name", name)
    config_toml, problem = recorded_toml(name, config)
    info = {**describe_origin(), "argv": list(sys.argv), "source": source}
    owner = _created(root, name, config_toml, info, epochs, steps)
    if problem:
        owner.event("not_logged", text=problem)
    return Recorder(Scribe(owner, composition), owner)


class Recorder:
    """A recorded run, from `record`. No method raises or waits, except `wait`, `flush` and `finish`, which wait."""

    def __init__(self, scribe: Scribe | None, owner: RunOwner | None = None) -> None:
        """Use `record`."""
        self._scribe = scribe
        self._owner = owner
        self._is_off = scribe is None
        self._ending = threading.Lock()
        if scribe is not None:
            self._entries, self._wake = scribe.entries, scribe.wake
            scribe.start()
            _live.add(self)
            atexit.register(self._end_with_process)

    @property
    def path(self) -> Path | None:
        """The run's directory; None in a process that records nothing."""
        return self._owner.path if self._owner is not None else None

    @property
    def held(self) -> Path | None:
        """The same by way of a descriptor: it stays the directory even if that is renamed."""
        return self._owner.held if self._owner is not None else None

    def say_status(self, status: Literal["running", "paused"]) -> None:
        """Show the run as paused or as running again."""
        if self._owner is not None and not self._is_off:
            self._owner.update_state(status=status)

    def log(
        self, values: Mapping[str, Any] | None = None, /, *, step: Any = None, epoch: Any = None, **named: Any
    ) -> None:
        """Record figures: numbers, or tensors and arrays of one element.

        A name says what it is of: `loss` and `train_loss` are of the training, `val_loss` and `eval/loss` of an
        evaluation, `lr` is the learning rate.

        Args:
            values: figures by name.
            step: optimizer steps done; None counts the calls with figures of the training.
            epoch: number of the epoch; with figures of an evaluation it makes a line in the table of epochs.
            named: further figures.
        """
        if self._is_off:
            return
        try:
            if values is not None:
                named = {**values, **named}
            for name, value in named.items():
                if type(value) not in PLAIN:
                    named[name] = taken(value)
            self._entries.append(Entry(step, epoch, time.monotonic(), named))
            if not self._wake.is_set():
                self._wake.set()
        except Exception as error:
            # Whatever a library's value does: the loop that is recorded must not end by it.
            self._say(f"log: {type(error).__name__}: {error}")

    def checkpoint(
        self,
        path: str | os.PathLike[str],
        metrics: Mapping[str, Any] | None = None,
        *,
        step: int | None = None,
        epoch: int | None = None,
    ) -> None:
        """List a checkpoint that your program has saved. It stays where it is; torchdeck never changes or deletes it.

        Args:
            path: its file or folder.
            metrics: validation metrics at this point; None for those of the newest evaluation.
            step: optimizer steps done; None for those of the newest `log`.
            epoch: epochs done; None for the newest.
        """
        if self._scribe is None or self._is_off:
            return
        try:
            self._scribe.entries.append(Saved(os.fspath(path), metrics, step, epoch))
            self._scribe.wake.set()
        except Exception as error:
            self._say(f"checkpoint: {type(error).__name__}: {error}")

    def note(self, text: str) -> None:
        """Add a line to the run's events."""
        self._say(text, kind="note")

    def commands(self) -> list[Command]:
        """What the user asked of the run since the last call, in order: pause, resume, save, stop, set, profile.

        The first call offers them: without one, the studio says that this run takes none. Cheap in every step.
        """
        if self._scribe is None or self._is_off:
            return []
        try:
            self._scribe.serve_commands()
            return self._scribe.control.take() if self._scribe.control.pending else []
        except Exception as error:
            self._say(f"commands: {type(error).__name__}: {error}")
            return []

    def wait(self) -> list[Command]:
        """Wait, paused, until the user resumes or stops the run; returns what was asked for meanwhile."""
        if self._scribe is None or self._owner is None or self._is_off:
            return []
        self._owner.update_state(status="paused")
        asked: list[Command] = []
        while not any(command["cmd"] in ("resume", "stop") for command in asked):
            self._scribe.control.wait()
            asked += self._scribe.control.take()
        self._owner.update_state(status="running")
        return asked

    def flush(self) -> None:
        """Wait until everything recorded so far is on disk."""
        if self._scribe is not None and not self._is_off:
            self._scribe.flush()

    def finish(self, status: Ending = "finished", error: str | None = None) -> None:
        """End the run. A second call does nothing; without one, the end of the program ends it.

        Args:
            status: how it ended.
            error: why it failed.
        """
        with self._ending:
            if self._scribe is None or self._is_off:
                return
            self._is_off = True
        _live.discard(self)
        atexit.unregister(self._end_with_process)
        self._scribe.stop(status, error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_by(error)

    def _end_with_process(self) -> None:
        """An exception that ended the program was printed before, and the interpreter has noted it."""
        self._end_by(getattr(sys, "last_exc", None) or getattr(sys, "last_value", None))

    def _end_by(self, error: BaseException | None) -> None:
        if error is None or (isinstance(error, SystemExit) and not error.code):
            self.finish()
        elif isinstance(error, KeyboardInterrupt):
            self.finish("stopped")
        else:
            self.finish("failed", f"{type(error).__name__}: {error}")

    def _say(self, text: str, kind: str = "not_logged") -> None:
        if self._owner is not None and not self._is_off:
            self._owner.event(kind, text=str(text)[:400])

    def _fall_silent(self) -> None:
        self._is_off = True


def _created(root: Path, name: str, config_toml: str, info: dict[str, Any], epochs: int, steps: int) -> RunOwner:
    locks: list[RunLock] = []
    path = create_run_directory(
        root, config_toml, info, name, before_it_shows=lambda folder: locks.append(acquire(folder))
    )
    state = first_state(config_toml, epochs)
    state |= {"status": "running", "total_steps": steps, "reads_commands": False}
    try:
        return RunOwner(path, locks[0], state)
    except OSError as error:
        locks[0].release()
        raise RunError(f"{path.name}: its files can't be opened: {error.strerror or error}") from error


def _rank() -> int:
    """Number of this process among those of its job; 0 where it is the only one."""
    text = os.environ.get("RANK") or os.environ.get("LOCAL_RANK") or "0"
    return int(text) if text.isdecimal() else 0


_live: weakref.WeakSet[Recorder] = weakref.WeakSet()


def _silence_child() -> None:
    """A forked child, such as a worker that reads data, has no thread that writes; the run is its parent's."""
    for recorder in list(_live):
        recorder._fall_silent()


os.register_at_fork(after_in_child=_silence_child)
