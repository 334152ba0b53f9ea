"""Starting a run in a background thread: from a config, or from a checkpoint of an earlier run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..config import RunConfig
from ..config.secret_settings import with_secrets_kept, words_with_secrets_kept
from ..distributed.ranks import ALONE, Ranks
from ..errors import RunError
from ..machine.torch_import import require_torch
from ..runs.on_disk.directory import load_run_config, refuse_trained
from ..runs.on_disk.own_files import require_own_files
from ..runs.on_disk.state_file import StateFile
from ..runs.reader import RunReader
from ..runs.saving.checkpoint_format import Checkpoint, SavedPosition
from ..runs.writer import RunWriter
from ..tensor_files.checkpoint_file import inspect_checkpoint
from .absolute_paths import with_absolute_paths
from .continuation import Continuation, load_state, newest_state
from .launched_run import LaunchedRun, Status

if TYPE_CHECKING:
    from ..build import Prepared

__all__ = ["LaunchedRun", "launch", "launch_resumed"]


class _NewRun(LaunchedRun):
    def __init__(
        self,
        config: RunConfig,
        runs_root: Path,
        argv: Sequence[str],
        on_directory: Callable[[Path], None],
        ranks: Ranks,
        part_of: Mapping[str, Any],
    ) -> None:
        super().__init__(on_directory, ranks)
        self._part_of = dict(part_of)
        # From here on the config holds no secret: whatever is written, logged or saved of it has none either.
        self._config = with_secrets_kept(with_absolute_paths(config))
        self._runs_root = runs_root
        self._argv = words_with_secrets_kept(argv)

    def _train(self) -> Status:
        self._progress("loading torch", 0, 0)
        require_torch("fork" if self._config.start_from else "train")
        from ..build import check_start, prepare
        from .fork import begin_fork, parent_of

        def prepared_run() -> Prepared:
            check_start(self._config, self._ranks)
            return prepare(self._config, self._progress, load_weights=not self._config.start_from, ranks=self._ranks)

        prepared = self._ranks.together(prepared_run, host_first=True)
        fork = begin_fork(prepared) if self._config.start_from else None
        info = {**_run_info(prepared, self._argv), "parent": parent_of(self._config), **self._part_of}
        run = self._written(lambda: RunWriter.create(self._runs_root, prepared.config, info))
        if fork is None:
            return self._run_engine(prepared, run, checkpoint=None, fields={})
        run.event("forked_from", **fork.event)
        return self._run_engine(prepared, run, fork.checkpoint, fork.state_fields)


class _ResumedRun(LaunchedRun):
    def __init__(
        self,
        path: Path,
        config: RunConfig,
        checkpoint_path: Path | None,
        on_directory: Callable[[Path], None],
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__(on_directory, ranks)
        self._path = path
        self._config = config
        self._checkpoint_path = checkpoint_path

    def _train(self) -> Status:
        self._progress("loading torch", 0, 0)
        require_torch("resume")
        if self._checkpoint_path is not None and not inspect_checkpoint(self._checkpoint_path).is_own:
            return self._train_from_another_loop(self._checkpoint_path)
        checkpoint_path, state, skipped = self._ranks.together(self._found_state, host_first=True)
        if state["position"]["epoch"] >= self._config.training.epochs:
            if self._ranks.agreed(RunReader(self._path).status()) == "died":
                # It had trained everything and was killed before it could say so.
                if self._ranks.is_first:
                    self._close_complete(state["position"])
                return "finished"
            raise RunError(
                f"{self._path.name}: has already trained all of its {self._config.training.epochs} epochs; "
                f"to continue, set more: torchdeck resume {self._path.name} "
                f"--set training.epochs={self._config.training.epochs * 2}"
            )
        prepared = self._ranks.together(self._prepared, host_first=True)
        self._config = prepared.config
        continuation = Continuation.of(prepared, checkpoint_path, state)
        position = continuation.position
        run = self._written(
            lambda: RunWriter.reopen(
                self._path,
                self._config,
                at_step=position["step"],
                at_epoch=position["epoch"],
                evaluated_step=state["evaluated_step"],
            )
        )
        run.event(
            "resumed_from",
            checkpoint=checkpoint_path.name,
            step=position["step"],
            epoch=position["epoch"],
            **continuation.exactness,
            skipped=[{"file": path.name, "reason": reason} for path, reason in skipped],
        )
        fields: StateFile = {"resumed_from": checkpoint_path.name, **continuation.exactness}
        return self._run_engine(prepared, run, state, fields)

    def _prepared(self) -> Prepared:
        from ..build import prepare

        return prepare(self._config, self._progress, load_weights=False, ranks=self._ranks)

    def _found_state(self) -> tuple[Path, Checkpoint, list[tuple[Path, str]]]:
        """The checkpoint to continue from, its content, and the newer ones that were skipped."""
        if self._checkpoint_path is not None:
            return self._checkpoint_path, load_state(self._checkpoint_path), []
        self._progress("finding the newest valid checkpoint", 0, 0)
        return newest_state(self._path)

    def _train_from_another_loop(self, path: Path) -> Status:
        """Continue the run from what another loop saved; what the run has of later epochs is put aside."""
        from ..data.loading.loaders import num_train_steps
        from .another_loop import state_of_another_loop

        prepared = self._ranks.together(self._prepared, host_first=True)
        self._config = prepared.config
        taken = state_of_another_loop(prepared, path)
        epoch = taken.state.epoch
        step = epoch * num_train_steps(prepared.sources, self._config)
        run = self._written(lambda: RunWriter.reopen(self._path, self._config, at_step=step, at_epoch=epoch))
        run.event("resumed_from", checkpoint=str(path), step=step, epoch=epoch, **taken.exactness, skipped=[])
        fields: StateFile = {"resumed_from": path.name, **taken.exactness}
        return self._run_engine(prepared, run, taken.state, fields)

    def _close_complete(self, position: SavedPosition) -> None:
        epochs, step = self._config.training.epochs, position["step"]
        run = RunWriter.reopen(self._path, self._config, at_step=step)
        self.path = run.path
        self._on_directory(run.path)
        per_epoch = step // max(1, position["epoch"])
        run.update_state(epoch=epochs, total_steps=step, steps_per_epoch=per_epoch, step_in_epoch=per_epoch)
        run.close("finished")


def launch(
    config: RunConfig,
    runs_root: Path,
    *,
    argv: Sequence[str] = (),
    on_directory: Callable[[Path], None] = lambda path: None,
    ranks: Ranks = ALONE,
    part_of: Mapping[str, Any] = MappingProxyType({}),
) -> LaunchedRun:
    """Start a new run in a thread and return immediately.

    Args:
        config: the run.
        runs_root: the folder that holds the run directories; made when it isn't there.
        argv: the command that started it, for the record.
        on_directory: called in the engine's thread when the run's directory has been made.
        ranks: the processes that train it together; every one of them calls this.
        part_of: what `run.json` says of the sweep, the trial or the job that the run belongs to, and of its processes.
    """
    run = _NewRun(config, runs_root, argv, on_directory, ranks, part_of)
    run._start()
    return run


def launch_resumed(
    path: Path,
    *,
    checkpoint: Path | None = None,
    overrides: Sequence[str] = (),
    on_directory: Callable[[Path], None] = lambda path: None,
    ranks: Ranks = ALONE,
    takes_over: bool = False,
) -> LaunchedRun:
    """Resume a run from a checkpoint, in its own directory, and return immediately.

    Args:
        path: the run's directory.
        checkpoint: file to resume from, one that another loop saved too; None for the newest valid one.
        overrides: `KEY=VALUE` changes to the run's config.
        on_directory: called in the engine's thread once the directory is owned.
        ranks: the processes that train it together; every one of them calls this.
        takes_over: whether the process that trained it is known to be gone, wherever it was.

    Raises:
        ConfigError: its config is damaged, or an override is not allowed.
        RunError: the run is being trained by a live process.
    """
    config = ranks.together(lambda: _resumable(path, overrides, takes_over=takes_over), host_first=True)
    run = _ResumedRun(path, config, checkpoint, on_directory, ranks)
    run._start()
    return run


def _resumable(path: Path, overrides: Sequence[str], *, takes_over: bool) -> RunConfig:
    """The config that a run is resumed with. Raises ConfigError, RunError."""
    if not takes_over:
        refuse_trained(path)
    require_own_files(path)
    return with_secrets_kept(with_absolute_paths(load_run_config(path, overrides)))


def _run_info(prepared: Prepared, argv: list[str]) -> dict[str, Any]:
    """What is recorded of a new run besides its config."""
    from ..training.environment import describe_environment

    parameters = list(prepared.model.parameters())
    return {
        "argv": argv,
        "environment": describe_environment(prepared.config, prepared.placement),
        "classes": list(prepared.sources.classes),
        "samples": {"train": len(prepared.sources.train), "validation": len(prepared.sources.validation)},
        "input_shape": prepared.input_shape,
        "parameters": sum(parameter.numel() for parameter in parameters),
        "trainable": sum(parameter.numel() for parameter in parameters if parameter.requires_grad),
    }
