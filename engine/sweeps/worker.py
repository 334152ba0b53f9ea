"""A worker of a sweep: takes a trial, has it trained, and tells the result; any number of them, on any machine.

A trial that is RUNNING and whose lock is not held has lost its worker. The next worker takes that very trial: if its
run lives, it is watched from then on; if it is dead, it is resumed; if it has ended, its result is told. So no trial
stays without an end, and none is trained twice.
"""

from __future__ import annotations

import math
import os
import socket
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..detached.detached_run import DetachedRun
from ..detached.file_lock import FileLock, try_lock, wait_for_lock
from ..errors import ConfigError, RunError
from ..files.durable import atomic_write
from ..files.json_values import to_json
from ..runs.reader import RunReader
from .folder import SweepFolder
from .objective import figures_of, measured, values_of
from .place import Place
from .study import Study
from .trial_run import trial_run

_LOOK_SECONDS = 0.25
_IDLE_SECONDS = 0.5
# A run that is asked to stop and doesn't is left to itself; the next worker finds it.
_STOP_SECONDS = 60.0
# So many failures and nothing else: the sweep itself is at fault.
_HOPELESS = 3

Outcome = Literal["finished", "pruned", "failed", "interrupted"]


class Worker:
    """Works on the trials of a sweep, one after the other, until all are done or it is told to stop."""

    def __init__(
        self,
        folder: SweepFolder,
        slot: int,
        place: Place,
        is_stopped: Callable[[], bool],
        say: Callable[[str], object],
    ) -> None:
        """Open the sweep's study.

        Args:
            folder: the sweep.
            slot: number of the worker in it, whose lock this process holds.
            place: where its runs train.
            is_stopped: whether this worker shall save its run and end.
            say: takes a line about what is done.

        Raises:
            ConfigError: the sweep's file is damaged, or Optuna is missing.
        """
        self._folder, self._slot, self._place = folder, slot, place
        self._is_told_to_stop, self._say = is_stopped, say
        self._definition = folder.definition()
        self._definition_stamp = self._stamp()
        with wait_for_lock(folder.ask_lock):
            self._study = Study(folder, self._definition, salt=slot)

    def work(self) -> None:
        """Work until every trial has its end, or until told to stop. Raises ConfigError and RunError."""
        while not self._is_stopped:
            self._show(None)
            taken = self._take()
            if taken is None:
                if self._is_done():
                    return
                time.sleep(_IDLE_SECONDS)
                continue
            number, lock = taken
            with lock:
                self._train(number)

    @property
    def _is_stopped(self) -> bool:
        return self._is_told_to_stop() or self._folder.wish() == "stop"

    def _take(self) -> tuple[int, FileLock] | None:
        """A trial that nobody works on, else a new one; None where there is none, or no more shall be started."""
        with wait_for_lock(self._folder.ask_lock):
            self._read_definition()
            for number in self._study.running():
                lock = try_lock(self._folder.trial_file(number, "lock"))
                if lock is not None:
                    self._say(f"trial {number} has no worker: taken over")
                    return number, lock
            trials = self._study.trials()
            if self._folder.wish() != "work" or len(trials) >= self._definition.trials:
                return None
            self._refuse_hopeless(trials)
            number = self._study.ask()
            return number, wait_for_lock(self._folder.trial_file(number, "lock"))

    def _is_done(self) -> bool:
        return (
            self._folder.wish() == "work"
            and len(self._study.trials()) >= self._definition.trials
            and not self._study.running()
        )

    def _read_definition(self) -> None:
        """Apply what was changed in the sweep's file; one that can't be read leaves the former in force."""
        stamp = self._stamp()
        if stamp == self._definition_stamp:
            return
        self._definition_stamp = stamp
        try:
            definition = self._folder.definition()
            self._study.redefine(definition)
            self._definition = definition
        except ConfigError as error:
            self._say(f"the changed {self._folder.name}/sweep.toml is ignored: {error}")

    def _stamp(self) -> tuple[int, int]:
        status = os.stat(self._folder.path / "sweep.toml")
        return status.st_mtime_ns, status.st_ino

    def _refuse_hopeless(self, trials: list[Any]) -> None:
        ended = [trial for trial in trials if trial.state.is_finished()]
        failed = [trial for trial in ended if trial.state.name == "FAIL"]
        if len(failed) >= _HOPELESS and len(failed) == len(ended):
            reason = f"the first {len(failed)} trials failed, the last with: {failed[-1].user_attrs.get('error', '')}"
            self._folder.set_wish("stop", reason)
            raise RunError(f"{self._folder.name}: stopped: {reason}")

    def _train(self, number: int) -> None:
        """Have a trial trained to its end, and tell it. Leaves it open where this worker is told to stop."""
        self._show(number)
        try:
            settings = self._study.choose(number)
            config = self._definition.trial_config(settings)
        except ConfigError as error:
            self._fail(number, str(error))
            return
        if self._place.threads and not config.training.num_threads:
            training = config.training.model_copy(update={"num_threads": self._place.threads})
            config = config.model_copy(update={"training": training})
        self._study.note(number, "host", socket.gethostname())
        seeds = self._definition.sweep.seeds
        figures: list[dict[str, float]] = []
        for index in range(seeds):
            run = trial_run(self._folder, number, config, index, seeds)
            outcome = self._train_run(run, number, index)
            if outcome == "interrupted":
                self._say(f"trial {number} is saved; it continues when the sweep does")
                return
            if outcome == "failed":
                self._fail(number, run.error())
                return
            if outcome == "pruned":
                self._prune(number)
                return
            figures.append(self._figures(run))
            if seeds > 1 and self._report_seed(number, index, figures[-1]) and index + 1 < seeds:
                self._prune(number)
                return
        self._complete(number, _means(figures))

    def _train_run(self, run: DetachedRun, number: int, index: int) -> Outcome:
        """Start, resume or watch one run of a trial until it has ended for good."""
        while True:
            if run.lives and self._watch(run, number, index):
                return "interrupted"
            end = run.end()
            self._note_run(run, number, index)
            if end == "finished":
                return "finished"
            if end == "failed":
                return "failed"
            if end == "stopped" and self._is_stop_meant(run, number):
                return "pruned"
            if self._is_stopped:
                return "interrupted"
            attempts = int(self._study.trial(number).user_attrs.get("attempts", 0))
            if attempts > self._definition.sweep.retries + index:
                return "failed"
            if end == "missing" and run.was_refused:
                return "failed"
            while not self._place.take():
                if self._is_stopped:
                    return "interrupted"
                time.sleep(_IDLE_SECONDS)
            self._study.note(number, "attempts", attempts + 1)
            self._say(f"trial {number}: {'starts' if end == 'missing' else 'is resumed'} as {run.config.name}")
            run.begin(self._place.environment, self._place.descriptors)

    def _watch(self, run: DetachedRun, number: int, index: int) -> bool:
        """Report a live run until it ends, and stop it where the pruner or the user asks.

        Returns:
            Whether this worker was told to end, and asked the run to save and stop.
        """
        reader: RunReader | None = None
        is_pruned_by_hand = False
        while run.lives:
            if reader is None and (path := run.path()) is not None:
                reader = RunReader(path)
                self._note_run(run, number, index)
                self._show(number, path.name)
            if reader is not None and reader.poll() and self._shall_prune(reader, number):
                self._study.note(number, "stopping", "pruned")
                run.stop(self._folder.name)
            if not is_pruned_by_hand and reader is not None and self._is_prune_requested(number):
                self._study.note(number, "stopping", "by hand")
                is_pruned_by_hand = run.stop(self._folder.name)
            if self._is_stopped:
                self._save(run)
                return True
            time.sleep(_LOOK_SECONDS)
        if reader is not None and reader.poll():
            self._shall_prune(reader, number)
        return False

    def _save(self, run: DetachedRun) -> None:
        """Ask a run to save and stop; one that doesn't is left to itself, and the next worker finds it."""
        until = time.monotonic() + _STOP_SECONDS
        while run.lives and time.monotonic() < until and not run.stop(self._folder.name):
            time.sleep(_LOOK_SECONDS)
        run.wait(max(0.0, until - time.monotonic()))

    def _shall_prune(self, reader: RunReader, number: int) -> bool:
        """Report the evaluations of epochs that are new. Whether the pruner would stop the run."""
        if self._definition.sweep.seeds > 1 or len(self._definition.objectives) > 1:
            return False
        config = reader.config()
        objective = self._definition.objectives[0]
        known = self._study.trial(number).intermediate_values
        shall = False
        for record in reader.epoch_records():
            value = measured(record, config).get(objective.name, math.nan)
            if record["epoch"] not in known and math.isfinite(value):
                shall = self._study.report(number, record["epoch"], value)
                shall = shall and record["epoch"] < config.training.epochs
        return shall

    def _report_seed(self, number: int, index: int, figures: Mapping[str, float]) -> bool:
        value = figures.get(self._definition.objectives[0].name, math.nan)
        if len(self._definition.objectives) > 1 or not math.isfinite(value):
            return False
        return self._study.report(number, index, value)

    def _is_prune_requested(self, number: int) -> bool:
        return self._folder.trial_file(number, "prune").exists()

    def _is_stop_meant(self, run: DetachedRun, number: int) -> bool:
        """Whether a stopped run is the trial's end: pruned, or stopped by hand while this worker watched it."""
        attributes = self._study.trial(number).user_attrs
        if attributes.get("stopping"):
            return True
        if not self._is_stopped and run.was_started_here:
            self._study.note(number, "stopping", "by hand")
            return True
        return False

    def _note_run(self, run: DetachedRun, number: int, index: int) -> None:
        path = run.path()
        if path is None:
            return
        named = dict(self._study.trial(number).user_attrs.get("runs", {}))
        if named.get(str(index)) != path.name:
            self._study.note(number, "runs", {**named, str(index): path.name})

    def _figures(self, run: DetachedRun) -> dict[str, float]:
        path = run.path()
        if path is None:
            return {}
        reader = RunReader(path)
        reader.poll()
        return figures_of(reader, self._definition.objectives[0])

    def _complete(self, number: int, figures: Mapping[str, float]) -> None:
        values = values_of(self._definition.objectives, figures)
        if isinstance(values, str):
            self._fail(number, values)
            return
        excess = {
            constraint.text: constraint.excess(figures[constraint.name])
            for constraint in self._definition.constraints
            if math.isfinite(figures.get(constraint.name, math.nan))
        }
        unknown = [each.name for each in self._definition.constraints if each.text not in excess]
        if unknown:
            self._study.note(number, "not_judged", unknown)
        self._study.note(number, "figures", dict(figures))
        self._study.complete(number, values, excess)
        shown = ", ".join(f"{value:.4g}" for value in values)
        self._say(f"trial {number}: complete, {shown}")

    def _prune(self, number: int) -> None:
        self._study.prune(number)
        self._say(f"trial {number}: pruned")

    def _fail(self, number: int, error: str) -> None:
        self._study.fail(number, error)
        self._say(f"trial {number}: failed: {error}")

    def _show(self, trial: int | None, run: str = "") -> None:
        """Tell those who look at the sweep what this worker does."""
        state = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "trial": trial,
            "run": run,
            "device": self._place.device,
        }
        atomic_write(self._folder.worker_file(self._slot, "json"), to_json(state), durable=False)


def _means(figures: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each figure that every run has."""
    names = [name for name in figures[0] if all(name in each for each in figures)] if figures else []
    return {name: statistics.fmean(each[name] for each in figures) for name in names}
