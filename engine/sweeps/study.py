"""A sweep's study in Optuna: trials are asked for, told about and kept in a journal or a database.

The only module that imports Optuna, when a study is opened.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..detached.file_lock import FileLock, wait_for_lock
from ..errors import ConfigError, RunError
from .definition import Definition
from .folder import SweepFolder
from .optuna_package import require_optuna
from .space import Dimension, decoded, encoded, settings_by_key

if TYPE_CHECKING:
    import optuna

_STUDY = "sweep"


class Study:
    """The trials of one sweep as workers see them. Used by one thread.

    Attributes:
        definition: the sweep as it was when the study was opened, or `redefine` called.
    """

    def __init__(self, folder: SweepFolder, definition: Definition, salt: int = 0) -> None:
        """Open the study, or make it.

        Args:
            folder: the sweep's folder.
            definition: what the sweep is.
            salt: what makes the sampler of this worker draw other values than the others' at the same moment.

        Raises:
            ConfigError: Optuna is not installed, or the database can't be reached.
            RunError: the journal can't be written.
        """
        self._optuna = import_optuna()
        self._storage = _open_storage(self._optuna, folder, definition.sweep.storage)
        self._name = folder.name if definition.sweep.storage else _STUDY
        self._salt = salt
        self.definition = definition
        self._study = self._opened(definition)

    def redefine(self, definition: Definition) -> None:
        """Use another definition from now on: a wider space, another sampler, more trials."""
        self.definition = definition
        self._study = self._opened(definition)

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All trials, by number."""
        return self._study.get_trials(deepcopy=False)

    def trial(self, number: int) -> optuna.trial.FrozenTrial:
        """One trial, as it stands."""
        return self.trials()[number]

    def ask(self) -> int:
        """A new trial, whose values are not chosen yet. Returns its number."""
        with quiet():
            return self._asking().ask().number

    def choose(self, number: int) -> dict[str, Any]:
        """The values of a trial, by dotted key; what was chosen for it before stays."""
        settings: dict[str, Any] = settings_by_key(self.definition.config)
        chosen: dict[str, Any] = {}
        with quiet():
            trial = self._optuna.trial.Trial(self._asking(), self.trial(number)._trial_id)
            for dimension in self.definition.space:
                if dimension.is_active(settings):
                    value = decoded(_suggested(trial, dimension))
                    settings[dimension.key] = chosen[dimension.key] = value
        return chosen

    def note(self, number: int, key: str, value: Any) -> None:
        """Note something about a trial that is not finished."""
        self._storage.set_trial_user_attr(self.trial(number)._trial_id, key, value)

    def report(self, number: int, step: int, value: float) -> bool:
        """Report the first objective after an evaluation, or a seed. Returns whether the trial shall be stopped."""
        trial = self.trial(number)
        if step not in trial.intermediate_values:
            self._storage.set_trial_intermediate_value(trial._trial_id, step, value)
        if self.definition.sweep.pruner == "none":
            return False
        with quiet():
            return self._study.pruner.prune(self._study, self.trial(number))

    def complete(self, number: int, values: Sequence[float], excess: Mapping[str, float]) -> None:
        """End a trial with its results, and how far they violate the constraints."""
        trial_id = self.trial(number)._trial_id
        for name, amount in excess.items():
            self._storage.set_trial_system_attr(trial_id, f"constraints:{name}", amount)
        self._tell(number, self._optuna.trial.TrialState.COMPLETE, values)

    def prune(self, number: int) -> None:
        """End a trial that was stopped early; its last report counts."""
        self._tell(number, self._optuna.trial.TrialState.PRUNED)

    def fail(self, number: int, error: str) -> None:
        """End a trial that has no result."""
        self.note(number, "error", error)
        self._tell(number, self._optuna.trial.TrialState.FAIL)

    def running(self) -> list[int]:
        """Numbers of the trials that have no result yet, whether somebody works on them or not."""
        running = self._optuna.trial.TrialState.RUNNING
        return [trial.number for trial in self.trials() if trial.state == running]

    def importances(self) -> dict[str, float]:
        """The share that each setting has in reaching good results, by PED-ANOVA; empty with too few results."""
        complete = self._optuna.trial.TrialState.COMPLETE
        if sum(trial.state == complete for trial in self.trials()) < 4:
            return {}
        importance = self._optuna.importance
        target = (lambda trial: trial.values[0]) if len(self.definition.objectives) > 1 else None
        with quiet():
            evaluator = importance.PedAnovaImportanceEvaluator()
            try:
                found = importance.get_param_importances(self._study, evaluator=evaluator, target=target)
            except (RuntimeError, ValueError):
                # Every result is the same, or every setting has one value.
                return {}
        return {str(key): float(share) for key, share in found.items()}

    def _tell(self, number: int, state: optuna.trial.TrialState, values: Sequence[float] | None = None) -> None:
        if self.definition.sweep.sampler == "grid":
            # The grid's own would try to end a loop of Optuna's after the last point.
            self._study.sampler = self._optuna.samplers.RandomSampler()
        with quiet():
            self._study.tell(number, values=values, state=state, skip_if_finished=True)

    def _opened(self, definition: Definition) -> optuna.Study:
        """The newest study of the sweep; a further one with the same trials where choices differ from before."""
        names = [study.study_name for study in self._storage.get_all_studies()]
        generation = sum(name == self._name or name.startswith(f"{self._name}.") for name in names)
        directions = [objective.direction for objective in definition.objectives]
        with quiet():
            study = self._optuna.create_study(
                study_name=self._generation(max(1, generation)),
                storage=self._storage,
                directions=directions,
                load_if_exists=True,
                pruner=self._pruner(definition),
            )
        known = [direction.name.lower() for direction in study.directions]
        if known != directions:
            raise ConfigError(
                f"sweep.metric: its first trials {' and '.join(known)}; start a new sweep for another metric"
            )
        if not self._has_other_choices(study, definition):
            return study
        with quiet():
            further = self._optuna.create_study(
                study_name=self._generation(generation + 1),
                storage=self._storage,
                directions=directions,
                pruner=self._pruner(definition),
            )
            for trial in study.get_trials(deepcopy=False):
                further.add_trial(self._refitted(trial, definition))
        return further

    def _generation(self, number: int) -> str:
        return self._name if number == 1 else f"{self._name}.{number}"

    def _has_other_choices(self, study: optuna.Study, definition: Definition) -> bool:
        wanted = {dimension.key: _distribution(self._optuna, dimension) for dimension in definition.space}
        check = self._optuna.distributions.check_distribution_compatibility
        for trial in study.get_trials(deepcopy=False):
            for key, distribution in trial.distributions.items():
                if key in wanted:
                    try:
                        check(distribution, wanted[key])
                    except ValueError:
                        return True
        return False

    def _refitted(self, trial: optuna.trial.FrozenTrial, definition: Definition) -> optuna.trial.FrozenTrial:
        """A trial of an earlier study for one with other choices; what it had outside of them is left out for the
        sampler, and stays among its notes."""
        wanted = {dimension.key: _distribution(self._optuna, dimension) for dimension in definition.space}
        params, distributions = {}, {}
        for key, value in trial.params.items():
            distribution = wanted.get(key, trial.distributions[key])
            try:
                fits = distribution._contains(distribution.to_internal_repr(value))
            except ValueError:
                fits = False
            if fits:
                params[key], distributions[key] = value, distribution
        return self._optuna.trial.FrozenTrial(
            number=trial.number,
            trial_id=-1,
            state=trial.state,
            value=None,
            values=trial.values,
            datetime_start=trial.datetime_start,
            datetime_complete=trial.datetime_complete,
            params=params,
            distributions=distributions,
            user_attrs=trial.user_attrs,
            system_attrs={key: value for key, value in trial.system_attrs.items() if key.startswith("constraints:")},
            intermediate_values=trial.intermediate_values,
        )

    def _asking(self) -> optuna.Study:
        """The study with a sampler for one more trial: what it draws follows from the sweep's seed, the worker and the
        number of trials, so that neither two workers nor two lives of a worker draw the same."""
        number = len(self.trials())
        seed = hash((self.definition.sweep.seed, self._salt, number)) % 2**31
        self._study.sampler = self._sampler(seed)
        return self._study

    def _sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        samplers, sweep = self._optuna.samplers, self.definition.sweep
        is_conditional = any(dimension.conditions for dimension in self.definition.space)
        if sweep.sampler == "tpe":
            return samplers.TPESampler(seed=seed, multivariate=True, group=is_conditional, constant_liar=True)
        if sweep.sampler == "gp":
            return samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        if sweep.sampler == "cmaes":
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if sweep.sampler == "qmc":
            # All workers follow the same sequence.
            return samplers.QMCSampler(seed=sweep.seed, scramble=True, warn_independent_sampling=False)
        if sweep.sampler == "nsga2":
            return samplers.NSGAIISampler(seed=seed)
        if sweep.sampler == "grid":
            grid = {dimension.key: dimension.grid() for dimension in self.definition.space}
            return samplers.GridSampler(grid, seed=sweep.seed)
        return samplers.RandomSampler(seed=seed)

    def _pruner(self, definition: Definition) -> optuna.pruners.BasePruner:
        pruners, sweep = self._optuna.pruners, definition.sweep
        epochs = sweep.epochs or definition.config.training.epochs
        if sweep.pruner == "median":
            return pruners.MedianPruner()
        if sweep.pruner == "asha":
            return pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
        if sweep.pruner == "hyperband":
            return pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
        if sweep.pruner == "wilcoxon":
            return pruners.WilcoxonPruner(p_threshold=0.1)
        return pruners.NopPruner()


def import_optuna() -> Any:
    """The package optuna. Raises ConfigError that says how to get it."""
    require_optuna()
    with quiet():
        import optuna
        import optuna.importance
        import optuna.storages.journal
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What Optuna says of its own experimental parts is not for the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def database_url(storage: str) -> str:
    """The URL of a database; `$NAME` stands for an environment variable. Raises ConfigError where that is not set."""
    if not storage.startswith("$"):
        return storage
    value = os.environ.get(storage[1:].strip("{}"))
    if not value:
        raise ConfigError(f"sweep.storage = '{storage}': this environment variable is not set here")
    return value


class _JournalLock:
    """Keeps writers of the journal apart, and mends what a writer that lost its power left.

    Optuna's own lock is a file that stays when its holder is killed, and then holds up everybody for half a minute;
    this one goes with its holder.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._lock: FileLock | None = None

    def acquire(self) -> bool:
        """Wait for the lock."""
        self._lock = wait_for_lock(self._journal.with_suffix(".lock"))
        _end_last_line(self._journal)
        return True

    def release(self) -> None:
        """Give it up."""
        if self._lock is not None:
            self._lock.release()


def _end_last_line(journal: Path) -> None:
    """Cut off a line that was written in part: what is appended to it could never be read."""
    with journal.open("rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(-1, os.SEEK_END)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _open_storage(optuna: Any, folder: SweepFolder, storage: str) -> optuna.storages.BaseStorage:
    if not storage:
        try:
            backend = optuna.storages.journal.JournalFileBackend(
                str(folder.journal), lock_obj=_JournalLock(folder.journal)
            )
            _end_last_line_alone(folder.journal)
            return optuna.storages.JournalStorage(backend)
        except OSError as error:
            raise RunError(f"{folder.journal}: can't be opened: {error.strerror or error}") from error
        except ValueError as error:
            raise RunError(f"{folder.journal}: is damaged: {error}; remove the damaged line") from error
    try:
        with quiet():
            return optuna.storages.RDBStorage(database_url(storage))
    except ConfigError:
        raise
    except Exception as error:
        # Whatever the driver of the database raises.
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"sweep.storage: the database can't be opened: {reason}") from error


def _end_last_line_alone(journal: Path) -> None:
    lock = _JournalLock(journal)
    lock.acquire()
    lock.release()


def _distribution(optuna: Any, dimension: Dimension) -> optuna.distributions.BaseDistribution:
    distributions = optuna.distributions
    if dimension.kind == "choice":
        return distributions.CategoricalDistribution([encoded(choice) for choice in dimension.choices])
    if dimension.kind == "int":
        step = int(dimension.step) or 1
        return distributions.IntDistribution(int(dimension.low), int(dimension.high), dimension.log, step)
    return distributions.FloatDistribution(dimension.low, dimension.high, dimension.log, dimension.step or None)


def _suggested(trial: optuna.Trial, dimension: Dimension) -> Any:
    if dimension.kind == "choice":
        return trial.suggest_categorical(dimension.key, [encoded(choice) for choice in dimension.choices])
    if dimension.kind == "int":
        low, high, step = int(dimension.low), int(dimension.high), int(dimension.step) or 1
        return trial.suggest_int(dimension.key, low, high, step=step, log=dimension.log)
    step_or_none = dimension.step or None
    return trial.suggest_float(dimension.key, dimension.low, dimension.high, step=step_or_none, log=dimension.log)
