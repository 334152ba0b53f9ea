"""Reader of a run's directory, used by everything that shows a run, live or not."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..config import RunConfig
from ..config.file import flat_values
from ..errors import ConfigError, RunError
from ..files.json_values import number, numbers_restored, whole_number
from ..metric_names import AUTO
from ..run_files import (
    CHECKPOINTS,
    CONFIG_FILE,
    EVALUATION_FILE,
    EVENTS_FILE,
    METRICS_FILE,
    STATE_FILE,
    SYSTEM_FILE,
)
from .best_result import best_of
from .on_disk.column_cache import WORTH_CACHING_BYTES, CachedCurves, load_curves, store_curves
from .on_disk.directory import (
    LIVE_STATUSES,
    MAX_EVALUATION_BYTES,
    damage_of,
    is_run,
    load_run_config,
    owner_pid,
    read_info,
    read_json_object,
    read_settings_file,
    read_state,
    status_of,
)
from .on_disk.evaluation_record import known_evaluation
from .on_disk.gradient_records import GradientRecords
from .on_disk.line_tail import LineTail
from .on_disk.metrics_record import EpochRecord, ResultRecord
from .on_disk.recorded_config import settings_in
from .on_disk.run_folder import folder_identity, renamed_to
from .on_disk.series import Curves, Points
from .on_disk.state_file import BestResult, StateFile
from .progress import Progress
from .rank_states import RankState, read_ranks
from .saving.checkpoint_index import CheckpointInfo, list_checkpoints

_MOST_SAMPLES = 17_280  # of the machine: a day of them


class RunReader:
    """Reader of a run's directory, live or not; each poll reads only what is new.

    Damaged or missing files never raise: what can't be read is unknown. A directory that is renamed within its folder
    is followed. Used by one thread.

    Attributes:
        path: the run's directory, where it was at the last look.
    """

    def __init__(self, path: Path) -> None:
        """Read the run in directory `path`. Raises RunError when it is not a run's directory."""
        if not is_run(path):
            raise RunError(f"{path}: is not the directory of a run")
        self.path = path
        self._identity = folder_identity(path)
        self._metrics = LineTail(path / METRICS_FILE)
        self._event_lines = LineTail(path / EVENTS_FILE)
        self._gradients = GradientRecords(path)
        self._are_gradients_polled = False
        self._system_lines = LineTail(path / SYSTEM_FILE)
        self._system: deque[dict[str, Any]] = deque(maxlen=_MOST_SAMPLES)
        self._curves = Curves()
        self._events: list[dict[str, Any]] = []
        self._malformed = 0
        self._cached_bytes = 0
        self._state: StateFile = {}
        self._is_damaged = False
        # Of the state and of the config, which may be damaged without the state being written.
        self._state_stamp: tuple[tuple[int, int] | None, ...] = ()
        self._polled_state_stamp: tuple[tuple[int, int] | None, ...] = ()
        self._status = ""
        self._config: tuple[int, RunConfig] | None = None
        self._checkpoints: tuple[tuple[int, int], list[CheckpointInfo]] | None = None

    @property
    def skipped_lines(self) -> int:
        """Lines of the metrics and events that could not be understood."""
        return self._metrics.skipped + self._event_lines.skipped + self._malformed

    @property
    def has_more(self) -> bool:
        """Whether the last `poll` left records for the next one."""
        return self._metrics.has_more or (self._are_gradients_polled and self._gradients.has_more)

    def poll(self, max_bytes: int | None = None) -> bool:
        """Read what is new. True when anything changed since the last call.

        On an unchanged run it costs five `stat` calls, and while the run claims to be alive a look at its lock.

        Args:
            max_bytes: read about so much of the metrics at most, the rest with the next calls; None for all.
        """
        # First: it follows a directory that was renamed.
        self._poll_state()
        changed = self._poll_lines(max_bytes)
        changed = changed or self._state_stamp != self._polled_state_stamp
        self._polled_state_stamp = self._state_stamp
        if changed or not self._status or self._status in LIVE_STATUSES:
            status = status_of(self._state, is_alive=self.is_alive(), is_damaged=self._is_damaged)
            has_ended = status != self._status and status not in LIVE_STATUSES
            changed = changed or status != self._status
            self._status = status
            if has_ended:
                # A process that just died may have written its last records after the look at them above.
                self._poll_lines(max_bytes)
        return changed

    def _poll_lines(self, max_bytes: int | None) -> bool:
        changed = self._poll_metrics(max_bytes)
        changed = self._poll_events() or changed
        if self._are_gradients_polled:
            changed = self._gradients.poll(max_bytes) or changed
        return self._poll_system() or changed

    def config(self) -> RunConfig:
        """The run's config. Raises ConfigError when `run.toml` is damaged."""
        stamp = _stamp(self.path / CONFIG_FILE)
        modified = stamp[0] if stamp is not None else 0
        if self._config is None or self._config[0] != modified:
            self._config = (modified, load_run_config(self.path))
        return self._config[1]

    def settings(self) -> dict[str, Any]:
        """Settings by dotted key as the run's file has them, unchecked; empty when that can't be read."""
        return flat_values(settings_in(read_settings_file(self.path)))

    def damage(self) -> list[str]:
        """What of its own files is there and can't be read, each with the reason; empty as it should be."""
        return damage_of(self.path)

    def info(self) -> dict[str, Any]:
        """The content of `run.json`: id, argv, versions, host, classes, sizes."""
        return read_info(self.path)

    def classes(self) -> list[str]:
        """Names of the classes or labels; empty where targets are numbers, or when not known."""
        names = self.info().get("classes")
        return [str(name) for name in names] if isinstance(names, list) else []

    def state(self) -> StateFile:
        """The content of `state.json`; empty when there is none. Cached until the file changes."""
        self._poll_state()
        return self._state.copy()

    def is_alive(self) -> bool:
        """Whether a process trains it now."""
        return self.owner_pid() is not None

    def owner_pid(self) -> int | None:
        """Process that trains the run, from the kernel; None if no process does, 0 if its pid is unknown here."""
        return owner_pid(self.path)

    def status(self) -> str:
        """Status of the run: its own, or "died" if that is live and no process holds the lock."""
        self._poll_state()
        return status_of(self._state, is_alive=self.is_alive(), is_damaged=self._is_damaged)

    def series(self, name: str) -> Points:
        """One curve as of the last poll.

        Args:
            name: one of `SERIES` or `BLOCK_SERIES`, or "train/", "validation/" or "ema/" before the name of another
                metric of the run.

        Returns:
            x (optimizer steps) and y, float64 [N] each, not writable.

        Raises:
            KeyError: there is no such series.
        """
        if name not in self._curves.names:
            raise KeyError(f"{name}: no such series; available: {', '.join(self._curves.names)}")
        return self._curves.points(name)

    @property
    def series_names(self) -> tuple[str, ...]:
        """What `series` can be asked for."""
        return tuple(self._curves.names)

    def gradients(self) -> GradientRecords:
        """What the run wrote about its gradients, read up to now. Costs nothing to those who never ask."""
        self._gradients.poll()
        return self._gradients

    def gradients_so_far(self) -> GradientRecords:
        """Like `gradients`, but from now on `poll` reads them, at most `max_bytes` at a time."""
        self._are_gradients_polled = True
        return self._gradients

    @property
    def score(self) -> str:
        """What is measured of every training step beside its loss: "accuracy" or "mae"."""
        return self._curves.score

    @property
    def headline(self) -> str:
        """The metric that says most of the run besides its loss: the one that picks its best epoch, else `score`."""
        best = self.best()
        deciding = best["metric"] if best is not None else self._best_metric()
        return self.score if deciding in ("loss", AUTO) else deciding

    def events(self) -> list[dict[str, Any]]:
        """The events as of the last poll, the oldest first."""
        return self._events

    def system(self) -> dict[str, Any]:
        """The newest sample of what the run takes of its machine, as of the last poll; empty before the first."""
        return self._system[-1] if self._system else {}

    def ranks(self) -> list[RankState]:
        """Where each process of a run of several stands; none for a run of one."""
        return read_ranks(self.path)

    def system_samples(self) -> Sequence[dict[str, Any]]:
        """The newest samples of the machine, oldest first, as of the last poll: those of the last day at most."""
        return self._system

    def epoch_records(self) -> list[EpochRecord]:
        """The records of the completed epochs as of the last poll."""
        return self._curves.epochs

    def evaluation_records(self) -> list[ResultRecord]:
        """The records, of epochs and between them, that hold an evaluation, as of the last poll."""
        return self._curves.evaluations

    def latest_metrics(self) -> dict[str, float]:
        """The metrics of the newest evaluation; empty before the first."""
        return dict(self._curves.evaluations[-1]["validation"]) if self._curves.evaluations else {}

    def evaluation(self) -> dict[str, Any]:
        """The newest evaluation in full: `epoch`, `step`, `metrics`, `ema` (those of the average) and `tables`; empty
        before the first.

        `tables` holds those of the raw weights under "" and those of their moving average under "ema": `per_class`
        or `per_output`, `confusion` as cells [target, predicted, samples], `calibration`.
        """
        value = numbers_restored(read_json_object(self.path / EVALUATION_FILE, MAX_EVALUATION_BYTES))
        return known_evaluation(value, len(self.classes()))

    def best(self) -> BestResult | None:
        """`metric`, `value`, `epoch` and `step` of the best epoch so far; None before the first."""
        records = [record for record in self._curves.evaluations if record.get("is_best")]
        if not records:
            return None
        return best_of(records[-1], self._best_metric())

    def _best_metric(self) -> str:
        """The config's name of the metric that picks the best epoch; the default where the config is damaged."""
        try:
            return self.config().checkpoint.best_metric
        except ConfigError:
            return RunConfig().checkpoint.best_metric

    def progress(self) -> Progress:
        """How far the run is, as of the last poll."""
        state, curves = self._state, self._curves
        steps_per_epoch = whole_number(state.get("steps_per_epoch"))
        step = max(whole_number(state.get("step")), curves.last_step)
        seconds = sum(block[1] for block in curves.newest_blocks)
        samples = sum(block[0] for block in curves.newest_blocks)
        steps = sum(block[2] for block in curves.newest_blocks)
        rate = number(state.get("learning_rate"))
        return Progress(
            epoch=whole_number(state.get("epoch")),
            epochs=whole_number(state.get("epochs")),
            step=step,
            total_steps=whole_number(state.get("total_steps")),
            # The state lags behind the metrics by up to half a second.
            step_in_epoch=whole_number(state.get("step_in_epoch")) + step - whole_number(state.get("step")),
            steps_per_epoch=steps_per_epoch,
            samples_per_s=samples / seconds if seconds > 0 else 0.0,
            eta_seconds=self._seconds_left(step, seconds / steps) if steps else math.nan,
            lr=curves.last_rate if rate is None else rate,
            phase=str(state.get("phase", "")),
        )

    def checkpoints(self) -> list[CheckpointInfo]:
        """The run's checkpoints, the newest first. Cached until the folder changes."""
        stamp = _stamp(self.path / CHECKPOINTS)
        if stamp is None:
            return []
        if self._checkpoints is None or self._checkpoints[0] != stamp:
            self._checkpoints = (stamp, list_checkpoints(self.path))
        return self._checkpoints[1]

    def _seconds_left(self, step: int, seconds_per_step: float) -> float:
        """Steps to go at the newest pace, and for every epoch to go what epochs took besides their steps."""
        total = whole_number(self._state.get("total_steps"))
        if status_of(self._state, is_alive=True) not in LIVE_STATUSES or total < step:
            return math.nan
        epochs_left = max(0, whole_number(self._state.get("epochs")) - len(self._curves.epochs))
        per_epoch = whole_number(self._state.get("steps_per_epoch"))
        recent = self._curves.epochs[-3:]
        besides = [max(0.0, record["seconds"] - per_epoch * seconds_per_step) for record in recent]
        overhead = sum(besides) / len(besides) if besides else 0.0
        return (total - step) * seconds_per_step + epochs_left * overhead

    def _poll_metrics(self, max_bytes: int | None) -> bool:
        if not self._metrics.look():
            return False
        if self._metrics.was_replaced:
            self._curves, self._malformed, self._cached_bytes = Curves(), 0, 0
        if not self._metrics.offset and (cached := load_curves(self.path)) is not None:
            self._curves, self._malformed, self._cached_bytes = cached.curves, cached.malformed, cached.offset
            self._metrics.start_at(cached.offset, cached.skipped)
        for record in self._metrics.read(max_bytes):
            if not self._curves.add(record):
                self._malformed += 1
        self._cache_curves()
        return True

    def _cache_curves(self) -> None:
        """Cache the parsed curves for the next reader. A growing file is cached again when it has grown by half."""
        offset = self._metrics.offset
        if offset - self._cached_bytes >= max(WORTH_CACHING_BYTES, self._cached_bytes // 2):
            self._cached_bytes = offset
            store_curves(self.path, CachedCurves(offset, self._metrics.skipped, self._malformed, self._curves))

    def _poll_events(self) -> bool:
        if not self._event_lines.look():
            return False
        if self._event_lines.was_replaced:
            self._events = []
        self._events += (known for event in self._event_lines.read() if (known := _known_event(event)))
        return True

    def _poll_system(self) -> bool:
        if not self._system_lines.look():
            return False
        if self._system_lines.was_replaced:
            self._system.clear()
        self._system.extend(self._system_lines.read())
        return True

    def _state_stamps(self) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        return _stamp(self.path / STATE_FILE), _stamp(self.path / CONFIG_FILE)

    def _poll_state(self) -> None:
        stamp = self._state_stamps()
        if stamp == (None, None) and (moved := self._moved()):
            self._point_to(moved)
            stamp = self._state_stamps()
        if stamp != self._state_stamp:
            self._state_stamp = stamp
            self._state = read_state(self.path)
            self._is_damaged = bool(damage_of(self.path))

    def _moved(self) -> Path | None:
        if self._identity is None or self._identity == folder_identity(self.path):
            return None
        return renamed_to(self.path, self._identity)

    def _point_to(self, path: Path) -> None:
        self.path = path
        for tail in (self._metrics, self._event_lines, self._system_lines):
            tail.path = path / tail.path.name
        self._gradients.point_to(path)


def _known_event(record: dict[str, Any]) -> dict[str, Any]:
    """An event as its readers may rely on it; empty for what is none."""
    event: dict[str, Any] = numbers_restored(record)
    if not isinstance(event.get("kind"), str):
        return {}
    return {**event, "time": number(event.get("time")) or 0.0}


def _stamp(path: Path) -> tuple[int, int] | None:
    """Changes when a file is replaced or a folder's entries change; None when it isn't there."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino
