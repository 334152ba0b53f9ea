"""Train a run in a background thread, with its notifications, mirrors and final status."""

from __future__ import annotations

import faulthandler
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..config import NotifyConfig
from ..distributed.ranks import ALONE, Ranks
from ..errors import PartsNeededError, RankError, RunError, TorchdeckError
from ..interchange.tensorboard_mirror import start_mirror
from ..runs.commands import Answer, Command
from ..runs.control import Control, ControlServer
from ..runs.on_disk.state_file import StateFile
from ..runs.onlooker import Onlooker
from ..runs.ownership_watch import OwnershipWatch
from ..runs.rank_states import RankBeat
from ..runs.saving.checkpoint_format import Checkpoint
from ..runs.system_sampler import SystemSampler
from ..runs.writer import RunWriter
from .failure_words import describe_failure
from .notify import RunNotifier
from .run_watch import RunWatch

if TYPE_CHECKING:
    from ..build import Prepared
    from ..training.foreign_state import ForeignState
    from ..training.trainer import Trainer

# A run that was told to stop and does not is ended from outside after so long.
STALL_SECONDS = 8.0

Status = Literal["preparing", "running", "finished", "stopped", "failed"]


class StoppedError(Exception):
    """A stop was asked for before the first step."""


class LaunchedRun:
    """A run that this process trains, in a thread of its own.

    The thread is not a daemon: the process lives until the run has ended and its last checkpoint is written. `join`
    it before the main thread ends: after that Python starts no thread pool, which loading torch and decoding need.

    Attributes:
        control: takes the commands that the engine obeys between steps.
        path: the run's directory; None until everything is checked and it is made.
        status: current or final status of the thread.
        message: current step of the preparation, or how a stalled run was saved, for display.
        error: why it failed.
        trainer: the loop itself, for measurements; None until training begins and when it has ended.
        outlives_us: False: it trains in this process.
    """

    outlives_us = False

    def __init__(self, on_directory: Callable[[Path], None], ranks: Ranks = ALONE) -> None:
        self.control = Control()
        self._ranks = ranks
        self.path: Path | None = None
        self.status: Status = "preparing"
        self.message = ""
        self.error: BaseException | None = None
        self.trainer: Trainer | None = None
        self._run: RunWriter | None = None
        self._watch: RunWatch | None = None
        self._notifier: RunNotifier | None = None
        self._on_directory = on_directory
        self._mirror: subprocess.Popen[bytes] | None = None
        self._says_stalled = False
        self._has_directory_or_ended = threading.Event()
        self._has_started = False
        self._has_ended = threading.Event()
        self._thread = threading.Thread(target=self._main, name="engine", daemon=False)

    @property
    def is_alive(self) -> bool:
        """Whether the engine's thread still works."""
        return self._has_started and not self._has_ended.is_set()

    @property
    def write_error(self) -> str:
        """Which of its records can't be written at the moment and why, which no file can tell; else empty."""
        return self._run.write_error if self._run is not None else ""

    def wait_for_directory(self, timeout: float | None = None) -> Path | None:
        """Wait until the run's directory exists, or preparing failed. Returns the directory, or None."""
        self._has_directory_or_ended.wait(timeout)
        return self.path

    def join(self, timeout: float | None = None) -> None:
        """Wait for the run to end. Call it with short timeouts from the main thread, so that signals arrive."""
        # Thread.join of Python 3.11 takes a thread for ended when Ctrl-C interrupts it.
        self._has_ended.wait(timeout)

    def submit(self, command: Command) -> Answer:
        """Hand the run a command. Any thread may call it, but no signal handler."""
        return self.control.submit(command)

    def stop(self, after: Literal["step", "epoch"] = "step", reason: str = "") -> None:
        """Ask the run to save and end at the next boundary. Any thread may call it, but no signal handler.

        A handler interrupts the main thread wherever it is, which may be in this very call with its lock held.
        """
        self.control.submit({"cmd": "stop", "after": after, "reason": reason})

    def save_if_stalled(self) -> bool:
        """Save and close a run that was told to stop and can't. Call it now and then.

        That is one to which no batch comes, one that torch compiles, and one that is still being prepared by code that
        does not look at the stop: a user's data set, a library that reads or fetches. A step that takes longer is
        waited for, and the run says so.

        Returns:
            Whether that was done: the process then has to end by `os._exit`, as the engine's thread still waits.
        """
        trainer, run = self.trainer, self._run
        asked = self.control.stop_asked
        if asked is None or time.monotonic() - asked < STALL_SECONDS or not self.is_alive:
            return False
        if trainer is None:
            if self.status not in ("preparing", "running"):
                return False
            words = f"stopped while preparing: {self.message or 'the run'} did not end in {STALL_SECONDS:g} seconds"
        elif run is None or not (words := trainer.save_from_outside()):
            self._say_stalled()
            return False
        if run is not None:
            run.event("note", text=words)
            run.close("stopped")
        self.status, self.message = "stopped", words
        return True

    def give_up(self, words: str) -> None:
        """Say that a run ends whose other processes are lost and not started again."""
        if self._run is not None and self._notifier is not None:
            self._run.close("failed", error=words)
            self._notifier.tell_end("failed", words)

    def _say_stalled(self) -> None:
        if self._run is not None and not self._says_stalled:
            self._says_stalled = True
            self._run.event(
                "note",
                text=f"stop requested {STALL_SECONDS:g} seconds ago: the step under way takes longer; the run saves "
                "and ends after it, another signal ends it without saving",
            )

    def _start(self) -> None:
        if not faulthandler.is_enabled():
            # A crash of a library then leaves its stack in the log, where descriptor 2 goes.
            faulthandler.enable(2)
        self._has_started = True
        self._thread.start()

    def _main(self) -> None:
        try:
            self.status = self._train()
        except StoppedError:
            self.status = "stopped"
        except RankError as error:
            self.status, self.error = ("stopped", None) if error.kind == StoppedError.__name__ else ("failed", error)
        except BaseException as error:
            self.error = error
            self.status = "failed"
            if not isinstance(error, TorchdeckError):
                traceback.print_exc(file=sys.stderr)
        finally:
            try:
                self._give_back()
            finally:
                self._has_directory_or_ended.set()
                self._has_ended.set()

    def _give_back(self) -> None:
        """Let go of the model, the data and their memory: a studio that trained a run stays open for days."""
        if self.trainer is None:
            return
        from ..training.compute.memory_recovery import release_memory

        self.trainer = None
        error = self.error
        while error is not None:
            # Its frames hold them, too.
            traceback.clear_frames(error.__traceback__)
            error = error.__context__
        release_memory()

    def _train(self) -> Status:
        raise NotImplementedError

    def _run_engine(
        self, prepared: Prepared, run: RunWriter, checkpoint: Checkpoint | ForeignState | None, fields: StateFile
    ) -> Status:
        """Train what was prepared, in the run's directory, to the end that is written into its state."""
        self.path, self._run = run.path, run
        if not self._ranks.is_first:
            return self._train_prepared(prepared, run, checkpoint, fields)
        if prepared.config.mirror.tensorboard:
            self._start_mirror(run)
        # Of several processes, one that is killed is started again: what starts them tells if that was not enough.
        of_death = prepared.config.notify if self._ranks.world == 1 else NotifyConfig()
        with (
            RunNotifier(prepared.config.notify, run) as self._notifier,
            RunWatch(run.path, run.held, of_death) as self._watch,
        ):
            try:
                outcome = self._train_prepared(prepared, run, checkpoint, fields)
                run.close(outcome)
            except StoppedError:
                run.close("stopped")
                raise
            except PartsNeededError as error:
                # Not the run's end: its processes are started again, and keep to smaller parts.
                run.event("out_of_memory", text=str(error), largest_part=error.largest_part)
                raise
            except BaseException as error:
                if self._ranks.is_lost_peer(error):
                    # Its processes are started again, and resume from the newest checkpoint; if they may not be,
                    # what started this one knows why the other is lost.
                    raise
                words = describe_failure(error)
                run.close("failed", error=words)
                self._notifier.tell_end("failed", words)
                raise
            self._notifier.tell_end(outcome)
            return outcome

    def _written(self, open_run: Callable[[], RunWriter]) -> RunWriter:
        """The run's writer, on the first process; what looks on, on the others.

        Raises:
            RunError: its directory can't be opened, or is not to be seen from the machine of another process.
        """
        run = self._ranks.together(lambda: open_run() if self._ranks.is_first else None)
        path = self._ranks.agreed(run.path if run is not None else Path())
        self._ranks.together(lambda: _require_seen(path))
        return run if run is not None else Onlooker(path)

    def _move_to(self, run: RunWriter, server: ControlServer) -> None:
        """Follow the run's directory. Called in the thread that watches it."""
        if run.path != self.path:
            self.path = run.path
            server.move(run.path, run.held)
            if self._watch is not None:
                self._watch.move(run.path, run.held)
            if run.relocation:
                self._on_directory(run.path)
        if run.relocation:
            self.stop(after="step", reason=run.relocation)

    def _start_mirror(self, run: RunWriter) -> None:
        try:
            self._mirror = start_mirror(run.path)
        except OSError as error:
            reason = error.strerror or error
            run.event("note", text=f"the curves are not mirrored to TensorBoard, training continues: {reason}")

    def _train_prepared(
        self, prepared: Prepared, run: RunWriter, checkpoint: Checkpoint | ForeignState | None, fields: StateFile
    ) -> Status:
        from ..training.compute.placement import gpu_uuid_of, placed
        from ..training.divergence import fit_past_divergence

        # Whatever training imports is there before the run says that it trains: once the main thread has ended,
        # nothing can be imported that starts threads.
        from . import assembly  # noqa: F401

        uuid = gpu_uuid_of(prepared.placement.device)
        with ExitStack() as services:
            if self._ranks.is_first:
                self._serve(run, uuid, services)
            else:
                self._announce(run)
            if self._ranks.world > 1:
                services.enter_context(self._beat(run, str(prepared.placement.device), uuid))
            services.callback(self._finish_profiling)
            self.status = "running"
            with placed(prepared.placement):
                preparing: StateFile = {"status": "preparing", "phase": "decoding", **fields}
                run.update_state(**preparing)
                self.trainer = self._assembled(prepared, run, checkpoint)
                outcome: Status = fit_past_divergence(self.trainer, run, self._ranks)
            run.flush()
            run.rescue()
            if run.relocation and run.save_error:
                raise RunError(f"{run.relocation}; the last checkpoint could not be saved: {run.save_error}")
            if run.relocation:
                raise RunError(run.relocation)
            return outcome

    def _finish_profiling(self) -> None:
        if self.trainer is not None:
            self.trainer.profiling.finish(self.trainer.state.position.step)

    def _assembled(self, prepared: Prepared, run: RunWriter, checkpoint: Checkpoint | ForeignState | None) -> Trainer:
        """The trainer, where the run begins or goes on."""
        from ..data.loading.batching import rank_part
        from ..data.loading.loaders import build_loaders
        from .assembly import assemble_trainer

        progress, device = self._progress_into(run), prepared.placement.device
        part = rank_part(prepared.config, self._ranks)
        data = self._ranks.together(
            lambda: build_loaders(prepared.sources, prepared.config, device, progress, part), host_first=True
        )
        for note in dict.fromkeys((*prepared.notes, *data.notes)):
            run.event("note", text=note)
        if prepared.left_out:
            run.event("left_out", files=[[file.path, file.problem] for file in prepared.left_out])
            print(*(f"left out: {file.path}: {file.problem}" for file in prepared.left_out), sep="\n")
        trainer = assemble_trainer(prepared, data, run, self.control, self._ranks)
        if isinstance(checkpoint, dict):
            trainer.restore(checkpoint)
        else:
            if checkpoint is not None:
                checkpoint.restore_into(trainer.state)
            trainer.saving.remember_start()
        run.update_state(
            status="running",
            message="",
            storage=data.storage,
            storage_reason=data.reason,
            uses_gpu=device.type == "cuda",
        )
        return trainer

    def _announce(self, run: RunWriter) -> None:
        self._on_directory(run.path)
        self._has_directory_or_ended.set()

    def _serve(self, run: RunWriter, gpu_uuid: str, services: ExitStack) -> None:
        """Let the run be reached and watched while it trains."""
        ownership = OwnershipWatch(run)
        sampler = SystemSampler(run.held, lambda: run.state().get("step", 0), gpu_uuid)
        services.callback(ownership.stop)
        services.callback(sampler.stop)
        server = ControlServer(run.path, run.held, self.control)
        services.callback(server.stop)
        run.on_moved = lambda: self._move_to(run, server)
        self._announce(run)
        if problem := server.start():
            run.event(
                "note",
                text=f"no control socket can be made ({problem}): the run trains, but `torchdeck send` and the "
                "live panel can't reach it until there is one; Ctrl-C and SIGTERM save and stop it",
            )
        sampler.start()
        ownership.start()

    def _beat(self, run: RunWriter, device: str, gpu_uuid: str) -> RankBeat:
        def look() -> tuple[StateFile, float | None]:
            trainer = self.trainer
            state = run.state()
            if trainer is None:
                return state, None
            return {**state, "step": trainer.position.step}, trainer.times.seconds()["data"]

        return RankBeat(run.path, self._ranks.rank, self._ranks.world, device, gpu_uuid, look)

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
            raise StoppedError
        for command in commands:
            self.control.submit(command)


def _require_seen(path: Path) -> None:
    if not path.is_dir():
        raise RunError(
            f"{path}: is not there on {socket.gethostname()}; the processes of a run share one folder of runs, which "
            "has to be reachable under the same path on every machine (--runs)"
        )
