"""A run in a background thread: from a config, or from a checkpoint of an earlier run."""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.config import RunConfig
from engine.config_paths import with_absolute_paths
from engine.errors import RunError, TorchdeckError
from engine.interchange.tensorboard_mirror import start_mirror
from engine.notify import RunNotifier
from engine.resumable import check_complete, check_fits
from engine.run_watch import RunWatch
from engine.runs.control import Control, ControlServer
from engine.runs.reader import RunReader
from engine.runs.system_sampler import SystemSampler
from engine.runs.writer import RunWriter

if TYPE_CHECKING:
    from engine.build import Prepared
    from engine.training.trainer import Trainer

# A run that was told to stop is saved from outside when it has waited for a batch for so long since.
STALL_SECONDS = 10.0

Status = Literal["preparing", "running", "finished", "stopped", "failed"]


class _Stopped(Exception):
    """A stop was asked for before the first step."""


class LaunchedRun:
    """A run that this process trains, in a thread of its own.

    The thread is not a daemon: the process lives until the run has ended and its last checkpoint is written. `join`
    it before the main thread ends: after that Python starts no thread pool, which loading torch and decoding need.

    Attributes:
        control: takes the commands that the engine obeys between steps.
        path: the run's directory; None until everything is checked and it is made.
        status: what the thread is doing or how it ended.
        message: what is being prepared, for the screen.
        error: why it failed.
        trainer: the loop itself, for measurements; None until training begins.
    """

    def __init__(self, on_directory: Callable[[Path], None]) -> None:
        self.control = Control()
        self.path: Path | None = None
        self.status: Status = "preparing"
        self.message = ""
        self.error: BaseException | None = None
        self.trainer: Trainer | None = None
        self._run: RunWriter | None = None
        self._stop_asked: float | None = None
        self._on_directory = on_directory
        self._mirror: subprocess.Popen[bytes] | None = None
        self._has_directory_or_ended = threading.Event()
        self._thread = threading.Thread(target=self._main, name="engine", daemon=False)

    @property
    def is_alive(self) -> bool:
        """Whether the engine's thread still works."""
        return self._thread.is_alive()

    def wait_for_directory(self, timeout: float | None = None) -> Path | None:
        """Wait until the run's directory exists, or preparing failed. Returns the directory, or None."""
        self._has_directory_or_ended.wait(timeout)
        return self.path

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread to end. Call it with short timeouts from the main thread, so that signals arrive."""
        self._thread.join(timeout)

    def stop(self, after: Literal["step", "epoch"] = "step", reason: str = "") -> None:
        """Ask the run to save and end at the next boundary. Safe to call from a signal handler's thread."""
        if after == "step" and self._stop_asked is None:
            self._stop_asked = time.monotonic()
        self.control.submit({"cmd": "stop", "after": after, "reason": reason})

    def save_if_stalled(self) -> bool:
        """Save and close a run that was told to stop and can't, because no batch comes. Call it now and then.

        Returns:
            Whether that was done: the process then has to end by `os._exit`, as the engine's thread still waits.
        """
        trainer, run = self.trainer, self._run
        is_due = self._stop_asked is not None and time.monotonic() - self._stop_asked >= STALL_SECONDS
        if not is_due or trainer is None or run is None or not self.is_alive or not trainer.save_from_outside():
            return False
        run.event("note", text="no batch came after the stop: saved at the last step")
        run.close("stopped")
        self.status = "stopped"
        return True

    def _start(self) -> None:
        if not faulthandler.is_enabled():
            # A crash of a library then leaves its stack in the log, where descriptor 2 goes.
            faulthandler.enable(2)
        self._thread.start()

    def _main(self) -> None:
        try:
            self.status = self._train()
        except _Stopped:
            self.status = "stopped"
        except BaseException as error:
            self.error = error
            self.status = "failed"
            if not isinstance(error, TorchdeckError):
                traceback.print_exc(file=sys.stderr)
        finally:
            self._has_directory_or_ended.set()

    def _train(self) -> Status:
        raise NotImplementedError

    def _run_engine(
        self, prepared: Prepared, run: RunWriter, checkpoint: dict[str, Any] | None, fields: dict[str, Any]
    ) -> Status:
        """Train what was prepared, in the run's directory, to the end that is written into its state."""
        self.path, self._run = run.path, run
        if prepared.config.mirror.tensorboard:
            self._mirror = start_mirror(run.path)
        with RunNotifier(prepared.config.notify, run) as notifier, RunWatch(run.path):
            try:
                outcome = self._train_prepared(prepared, run, checkpoint, fields)
                run.close(outcome)
            except _Stopped:
                run.close("stopped")
                raise
            except BaseException as error:
                words = describe_failure(error)
                run.close("failed", error=words)
                notifier.tell_end("failed", words)
                raise
            notifier.tell_end(outcome)
            return outcome

    def _train_prepared(
        self, prepared: Prepared, run: RunWriter, checkpoint: dict[str, Any] | None, fields: dict[str, Any]
    ) -> Status:
        from engine.data.loading.loaders import build_loaders
        from engine.training.divergence import fit_past_divergence
        from engine.training.placement import gpu_uuid_of, placed
        from engine.training.trainer import Trainer

        server: ControlServer | None = None
        sampler = SystemSampler(run.path, gpu_uuid_of(prepared.placement.device))
        try:
            server = ControlServer(run.path, self.control)
            self._on_directory(run.path)
            self._has_directory_or_ended.set()
            server.start()
            sampler.start()
            self.status = "running"
            with placed(prepared.placement):
                run.update_state(status="preparing", phase="decoding", **fields)
                progress = self._progress_into(run)
                data = build_loaders(prepared.sources, prepared.config, prepared.placement.device, progress)
                for note in (*prepared.notes, *data.notes):
                    run.event("note", text=note)
                if prepared.left_out:
                    run.event("left_out", files=[[file.path, file.problem] for file in prepared.left_out])
                    print(*(f"left out: {file.path}: {file.problem}" for file in prepared.left_out), sep="\n")
                model = prepared.model.to(prepared.placement.device)
                if prepared.placement.channels_last:
                    model = model.to(memory_format=_channels_last())
                trainer = Trainer(
                    prepared.config, data, model, prepared.placement, prepared.objective, run, self.control
                )
                if checkpoint is not None:
                    trainer.restore(checkpoint)
                else:
                    trainer.saving.remember_start()
                self.trainer = trainer
                run.update_state(
                    status="running",
                    message="",
                    storage=data.storage,
                    storage_reason=data.reason,
                    uses_gpu=prepared.placement.device.type == "cuda",
                )
                outcome: Status = fit_past_divergence(trainer, run)
            run.flush()
            if run.save_error:
                raise RunError(f"{outcome}, but the last checkpoint could not be saved: {run.save_error}")
            return outcome
        finally:
            if server is not None:
                server.stop()
            sampler.stop()

    def _progress(self, message: str, done: int, total: int) -> None:
        self.message = f"{message} {done:,}/{total:,}" if total else message
        self._raise_if_stopped()

    def _progress_into(self, run: RunWriter) -> Callable[[str, int, int], None]:
        def progress(message: str, done: int, total: int) -> None:
            self._progress(message, done, total)
            run.update_state(message=self.message)

        return progress

    def _raise_if_stopped(self) -> None:
        """Before training, stop is the only command with a meaning; the others wait for the first step."""
        if not self.control.pending:
            return
        commands = self.control.take()
        if any(command["cmd"] == "stop" for command in commands):
            raise _Stopped
        for command in commands:
            self.control.submit(command)


class _NewRun(LaunchedRun):
    def __init__(
        self, config: RunConfig, runs_root: Path, argv: Sequence[str], on_directory: Callable[[Path], None]
    ) -> None:
        super().__init__(on_directory)
        self._config = with_absolute_paths(config)
        self._runs_root = runs_root
        self._argv = list(argv)

    def _train(self) -> Status:
        self._progress("loading torch", 0, 0)
        from engine.build import prepare
        from engine.fork import begin_fork, parent_of

        prepared = prepare(self._config, self._progress, load_weights=not self._config.start_from)
        fork = begin_fork(prepared) if self._config.start_from else None
        info = {**_run_info(prepared, self._argv), "parent": parent_of(self._config)}
        run = RunWriter.create(self._runs_root, prepared.config, info)
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
    ) -> None:
        super().__init__(on_directory)
        self._path = path
        self._config = config
        self._checkpoint_path = checkpoint_path

    def _train(self) -> Status:
        self._progress("loading torch", 0, 0)
        from engine.build import prepare
        from engine.config_file import parse_config
        from engine.data.loading.loaders import data_fingerprint
        from engine.runs.checkpoint import load_checkpoint, newest_valid_checkpoint
        from engine.training.environment import describe_environment, inexact_because

        skipped: list[tuple[Path, str]] = []
        checkpoint_path = self._checkpoint_path
        if checkpoint_path is None:
            self._progress("looking for the newest valid checkpoint", 0, 0)
            checkpoint_path, skipped = newest_valid_checkpoint(self._path)
        checkpoint = load_checkpoint(checkpoint_path)
        if checkpoint.get("torchdeck_format") != 1:
            raise RunError(f"{checkpoint_path}: is not a checkpoint of torchdeck, so there is no run to go on with")
        check_complete(checkpoint, checkpoint_path)
        if checkpoint["position"]["epoch"] >= self._config.training.epochs:
            if RunReader(self._path).status() == "died":
                # It had trained everything and was killed before it could say so.
                self._close_complete(checkpoint["position"])
                return "finished"
            raise RunError(
                f"{self._path.name}: has already trained all of its {self._config.training.epochs} epochs; "
                f"to go on, ask for more: torchdeck resume {self._path.name} "
                f"--set training.epochs={self._config.training.epochs * 2}"
            )
        prepared = prepare(self._config, self._progress, load_weights=False)
        self._config = prepared.config
        check_fits(prepared, checkpoint, checkpoint_path)
        reasons = inexact_because(
            checkpoint["environment"],
            describe_environment(self._config, prepared.placement),
            parse_config(checkpoint["config"], str(checkpoint_path)),
            self._config,
            checkpoint["data_fingerprint"],
            data_fingerprint(prepared.sources, self._config),
        )
        position = checkpoint["position"]
        run = RunWriter.reopen(
            self._path,
            self._config,
            at_step=position["step"],
            at_epoch=position["epoch"],
            evaluated_step=checkpoint["evaluated_step"],
        )
        run.event(
            "resumed_from",
            checkpoint=checkpoint_path.name,
            step=position["step"],
            epoch=position["epoch"],
            exact=not reasons,
            not_exact_because=reasons,
            skipped=[{"file": path.name, "reason": reason} for path, reason in skipped],
        )
        fields = {"resumed_from": checkpoint_path.name, "exact": not reasons, "not_exact_because": reasons}
        return self._run_engine(prepared, run, checkpoint, fields)

    def _close_complete(self, position: dict[str, int]) -> None:
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
) -> LaunchedRun:
    """Start a new run in a thread and return at once.

    Args:
        config: the run.
        runs_root: the folder that holds the run directories; made when it isn't there.
        argv: the command that started it, for the record.
        on_directory: called in the engine's thread when the run's directory has been made.
    """
    run = _NewRun(config, runs_root, argv, on_directory)
    run._start()
    return run


def launch_resumed(
    path: Path,
    *,
    checkpoint: Path | None = None,
    overrides: Sequence[str] = (),
    on_directory: Callable[[Path], None] = lambda path: None,
) -> LaunchedRun:
    """Go on with a run from a checkpoint, in its own directory, and return at once.

    Args:
        path: the run's directory.
        checkpoint: the file to go on from; None for the newest that is valid.
        overrides: `KEY=VALUE` changes to the run's config.
        on_directory: called in the engine's thread once the directory is owned.

    Raises:
        ConfigError: an override that is not allowed.
        RunError: the run is being trained by a live process.
    """
    from engine.config_file import load_config

    reader = RunReader(path)
    if (owner := reader.owner_pid()) is not None:
        raise RunError(f"{path.name}: is being trained by process {owner}; stop it first, or watch it in the studio")
    config = with_absolute_paths(load_config(str(path / "run.toml"), overrides))
    run = _ResumedRun(path, config, checkpoint, on_directory)
    run._start()
    return run


def describe_failure(error: BaseException) -> str:
    """One message for the run's state: our own errors as they are, others with their type and place."""
    if isinstance(error, TorchdeckError):
        return str(error)
    if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error):
        return (
            f"out of memory: {str(error).splitlines()[0]}. Smaller parts of the batch don't help any more: take a "
            "smaller model or smaller images, an optimizer that keeps less (SGD), or end what else uses the device"
        )
    remedy = ""
    if "Expected more than 1 value per channel when training" in str(error):
        remedy = (
            ". Batch normalisation can't train on one sample: set loader.drop_last = true, "
            "or another loader.batch_size"
        )
    return f"{type(error).__name__}: {error}{_place_of(error)}{remedy}"


def _place_of(error: BaseException) -> str:
    """File and line where an exception came from: the user's own line where the user's code is on the way."""
    frames = traceback.extract_tb(error.__traceback__)
    own = str(Path(__file__).parent) + os.sep
    users = [frame for frame in frames if not frame.filename.startswith(own) and "site-packages" not in frame.filename]
    return "".join(f" ({frame.filename}, line {frame.lineno})" for frame in (users or frames)[-1:])


def _run_info(prepared: Prepared, argv: list[str]) -> dict[str, Any]:
    """What is recorded of a new run besides its config."""
    from engine.training.environment import describe_environment

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


def _channels_last() -> Any:
    import torch

    return torch.channels_last
