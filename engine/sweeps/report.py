"""What there is to say of a sweep: its trials, which of them are the best, and how it got there. Needs no Optuna."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypedDict

from ..config.sweep import Pruner, Sampler
from ..detached.file_lock import is_locked
from ..errors import ConfigError
from .definition import Definition
from .folder import SweepFolder, Wish, WorkerState
from .journal import State, SweepJournal, Trial
from .objective import Direction, Objective


class ObjectiveDocument(TypedDict):
    """What a sweep optimizes.

    Attributes:
        metric: name of the metric.
        direction: which way it is better.
    """

    metric: str
    direction: Direction


class TrialDocument(TypedDict):
    """A trial of a sweep.

    Attributes:
        trial: its number in the sweep, from 0.
        state: running, complete, pruned, failed or waiting.
        values: results, in the order of the objectives; empty before the end and for a failed one.
        is_feasible: whether its result satisfies every constraint.
        settings: what was varied, by dotted key.
        runs: names of its runs, by seed.
        reports: the first objective by epoch, or by seed where a trial has several.
        started: when it began, in seconds since 1970; 0 if unknown.
        ended: when it ended, in seconds since 1970; 0 before.
        attempts: how often its runs were started or resumed; 0 if unknown.
        error: why it failed, or ended early; empty where there is nothing to say.
    """

    trial: int
    state: State
    values: list[float]
    is_feasible: bool
    settings: dict[str, Any]
    runs: list[str]
    reports: dict[int, float]
    started: float
    ended: float
    attempts: int
    error: str


class SweepDocument(TypedDict):
    """A sweep as it stands.

    Attributes:
        sweep: name of its folder, which identifies the sweep.
        path: the folder.
        wish: what its workers are asked for: work, pause or stop.
        reason: why its workers were told to stop; empty where a user did, or none of them was.
        objectives: what is optimized.
        constraints: what a result must satisfy, as the file says it.
        space: dotted keys of the settings that are varied.
        trials_wanted: number of trials after which the sweep is done.
        sampler: what suggests the settings.
        pruner: what ends trials early.
        counts: number of trials in each state that occurs.
        abandoned: numbers of running trials without a worker; the next worker takes them.
        best: number of the best trial by the first objective; None before there is one.
        front: numbers of the trials that no other one beats in every objective; None for a single objective.
        workers: what the live workers do.
        trials: every trial, by number.
    """

    sweep: str
    path: str
    wish: Wish
    reason: str
    objectives: list[ObjectiveDocument]
    constraints: list[str]
    space: list[str]
    trials_wanted: int
    sampler: Sampler
    pruner: Pruner
    counts: dict[State, int]
    abandoned: list[int]
    best: int | None
    front: list[int] | None
    workers: list[WorkerState]
    trials: list[TrialDocument]


class SweepReport:
    """A sweep as it stands; `poll` reads what is new. Used by one thread.

    Attributes:
        folder: the sweep.
        definition: what it is.
    """

    def __init__(self, folder: SweepFolder) -> None:
        """Read nothing but its definition. Raises ConfigError where that is damaged."""
        self.folder = folder
        self.definition: Definition = folder.definition()
        self._journal = SweepJournal(folder.journal)
        self._trials: list[Trial] = []

    @property
    def trials(self) -> Sequence[Trial]:
        """The trials as of the last poll."""
        return self._trials

    def poll(self) -> bool:
        """Read what is new. True when anything changed."""
        if self.definition.sweep.storage:
            before, self._trials = self._trials, _trials_of_database(self.folder, self.definition)
            return before != self._trials
        changed = self._journal.poll()
        self._trials = self._journal.trials
        return changed

    def redefined(self) -> bool:
        """Read the definition anew, which may have been edited. Whether it is another one."""
        try:
            definition = self.folder.definition()
        except ConfigError:
            # In the middle of an edit; the workers say so, too.
            return False
        changed, self.definition = definition != self.definition, definition
        return changed

    def counts(self) -> dict[State, int]:
        """How many trials are in each state."""
        return dict(Counter(trial.state for trial in self._trials))

    def abandoned(self) -> list[int]:
        """Running trials that no worker works on: the next worker takes them."""
        running = [trial.number for trial in self._trials if trial.state == "running"]
        return [number for number in running if not is_locked(self.folder.trial_file(number, "lock"))]

    def best(self) -> Trial | None:
        """The best trial that satisfies the constraints, by the first objective; None before there is one."""
        results = [trial for trial in self._trials if _is_result(trial)]
        return max(results, key=lambda trial: _goodness(trial, self.definition.objectives[:1]), default=None)

    def front(self) -> list[Trial]:
        """The trials that no other one beats in every objective, by the first."""
        scored = [(_goodness(trial, self.definition.objectives), trial) for trial in self._trials if _is_result(trial)]
        front: list[tuple[tuple[float, ...], Trial]] = []
        # The best by the first objective come first: only those that are in the front already can beat a later one.
        for score, trial in sorted(scored, key=lambda each: each[0], reverse=True):
            if not any(_beats(other, score) for other, _ in front):
                front.append((score, trial))
        return [trial for _, trial in front]

    def best_so_far(self) -> list[tuple[int, float]]:
        """After each trial that was the best by then: its number and value, in the order in which trials ended."""
        steps: list[tuple[int, float]] = []
        first = self.definition.objectives[:1]
        for trial in sorted((each for each in self._trials if _is_result(each)), key=lambda each: each.ended):
            if not steps or _goodness(trial, first) > _signed(steps[-1][1], first[0]):
                steps.append((trial.number, trial.values[0]))
        return steps

    def document(self) -> SweepDocument:
        """The sweep for other programs."""
        definition, best = self.definition, self.best()
        return {
            "sweep": self.folder.name,
            "path": str(self.folder.path),
            "wish": self.folder.wish(),
            "reason": self.folder.wish_reason(),
            "objectives": [{"metric": each.name, "direction": each.direction} for each in definition.objectives],
            "constraints": [constraint.text for constraint in definition.constraints],
            "space": [dimension.key for dimension in definition.space],
            "trials_wanted": definition.trials,
            "sampler": definition.sweep.sampler,
            "pruner": definition.sweep.pruner,
            "counts": self.counts(),
            "abandoned": self.abandoned(),
            "best": best.number if best is not None else None,
            "front": [trial.number for trial in self.front()] if len(definition.objectives) > 1 else None,
            "workers": list(self.folder.workers()),
            "trials": [_trial_document(trial) for trial in self._trials],
        }


def _trial_document(trial: Trial) -> TrialDocument:
    return {
        "trial": trial.number,
        "state": trial.state,
        "values": trial.values,
        "is_feasible": trial.is_feasible,
        "settings": trial.settings,
        "runs": trial.runs,
        "reports": trial.reports,
        "started": trial.started,
        "ended": trial.ended,
        "attempts": trial.attributes.get("attempts", 0),
        "error": trial.error,
    }


def _is_result(trial: Trial) -> bool:
    return trial.state == "complete" and bool(trial.values) and trial.is_feasible


def _signed(value: float, objective: Objective) -> tuple[float, ...]:
    return (value if objective.is_maximized else -value,)


def _goodness(trial: Trial, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Larger is better in each place."""
    return tuple(
        value if objective.is_maximized else -value for value, objective in zip(trial.values, objectives, strict=False)
    )


def _beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(mine >= its for mine, its in zip(one, other, strict=True))


def _trials_of_database(folder: SweepFolder, definition: Definition) -> list[Trial]:
    """The trials in a database, which only Optuna reads."""
    from .study import Study

    states: dict[str, State] = {
        "RUNNING": "running",
        "COMPLETE": "complete",
        "PRUNED": "pruned",
        "FAIL": "failed",
        "WAITING": "waiting",
    }
    prefix = "constraints:"
    return [
        Trial(
            trial.number,
            states[trial.state.name],
            dict(trial.params),
            list(trial.values or []),
            dict(trial.intermediate_values),
            trial.datetime_start.timestamp() if trial.datetime_start else 0.0,
            trial.datetime_complete.timestamp() if trial.datetime_complete else 0.0,
            dict(trial.user_attrs),
            {key.removeprefix(prefix): value for key, value in trial.system_attrs.items() if key.startswith(prefix)},
        )
        for trial in Study(folder, definition).trials()
    ]
