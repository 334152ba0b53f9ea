"""A run of several processes, started through torchrun and followed by its directory: it outlives what started it."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from ..config import ParallelConfig, RunConfig
from ..config.secret_settings import with_secrets_kept, words_with_secrets_kept
from ..errors import ConfigError, RunError, TorchdeckError
from ..machine.python_process import module_command, python_command
from ..runs.cause_of_death import why_died
from ..runs.commands import Answer, Command, problem_with
from ..runs.control import send
from ..runs.on_disk.directory import ENDED_STATUSES, load_run_config, read_state, refuse_trained
from ..runs.rank_states import read_ranks
from .absolute_paths import with_absolute_paths
from .agent_words import why_machines_parted
from .launch_folder import Launch, LaunchFolder, new_launch_id
from .launched_run import Status
from .meeting import Meeting

_MONITOR_SECONDS = "0.5"
# How long the agent waits for processes that were told to stop: the save of a large model takes its time.
_SHUTDOWN_SECONDS = 120
_LEAST_PATIENCE_SECONDS = 60
# How often an agent says that it lives; torchrun's own value.
_ALIVE_SECONDS = 5
_SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2"
TORCHRUN_OPTIONS = (
    "--rdzv-backend",
    "--rdzv-endpoint",
    "--rdzv-id",
    "--nnodes",
    "--nproc-per-node",
    "--max-restarts",
    "--monitor-interval",
    "--shutdown-timeout",
    "--signals-to-handle",
    "--no-python",
)
"""Options that torchrun must have; old versions of torch lack some."""


class LaunchedRanks:
    """A run that processes of their own train together; to what follows it, the same as a `LaunchedRun`.

    Attributes:
        path: the run's directory; None until it is made.
        status: current or final status.
        message: current step of the preparation, for display.
        error: why it failed.
        outlives_us: True: its processes have a session of their own.
    """

    outlives_us = True

    def __init__(self, launch: Launch, on_directory: Callable[[Path], None], meeting: Meeting | None = None) -> None:
        self.path: Path | None = None
        self.status: Status = "preparing"
        self.message = ""
        self.error: BaseException | None = None
        self._launch = launch
        self._on_directory = on_directory
        self._asked: float | None = None
        self._waiting: list[Command] = []
        self._is_terminated = False
        self._machines = _machine_words(launch.config, meeting)
        self._meeting = meeting
        self._folder = LaunchFolder.make(launch)
        self._agent = self._started(meeting)
        self._has_ended = False

    @property
    def is_alive(self) -> bool:
        """Whether its processes still work."""
        return not self._has_ended

    @property
    def write_error(self) -> str:
        """Unknown here: the process that writes the records is another one, and says it in the engine's log."""
        return ""

    def wait_for_directory(self, timeout: float | None = None) -> Path | None:
        """Wait until the run's directory exists, or preparing failed. Returns the directory, or None."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.path is None and self.is_alive and (end is None or time.monotonic() < end):
            self.join(0.1)
        return self.path

    def join(self, timeout: float | None = None) -> None:
        """Wait for the run to end, and see what is new. Call it with short timeouts."""
        if self._has_ended:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._agent.wait(timeout)
        self._look()
        if self._agent.returncode is not None:
            self._end()

    def submit(self, command: Command) -> Answer:
        """Hand the run a command; before it has a socket, the command waits here, and a stop ends its processes."""
        if problem := problem_with(command):
            return {"ok": False, "error": problem}
        if command["cmd"] == "stop":
            self.stop(command.get("after", "step"), command.get("reason", ""))
        else:
            self._waiting.append(command)
        return {"ok": True}

    def stop(self, after: Literal["step", "epoch"] = "step", reason: str = "") -> None:
        """Ask the run to save and end at the next boundary."""
        self._asked = self._asked or time.monotonic()
        if self.path is not None:
            with contextlib.suppress(RunError):
                send(self.path, {"cmd": "stop", "after": after, "reason": reason})
                return
        self._terminate()

    def save_if_stalled(self) -> bool:
        """Have the agent end processes that were told to stop and don't; this process goes on. Returns False."""
        if self._asked is not None and not self._is_terminated and time.monotonic() - self._asked > _SHUTDOWN_SECONDS:
            self._terminate()
        return False

    def _terminate(self) -> None:
        self._is_terminated = True
        with contextlib.suppress(ProcessLookupError):
            self._agent.send_signal(signal.SIGTERM)

    def _started(self, meeting: Meeting | None) -> subprocess.Popen[bytes]:
        parallel = self._launch.config.parallel
        command = [
            *module_command("torch.distributed.run"),
            "--rdzv-backend=c10d",
            *self._machines,
            f"--nproc-per-node={number_of_processes(self._launch.config)}",
            f"--max-restarts={parallel.restarts}",
            f"--monitor-interval={_MONITOR_SECONDS}",
            f"--shutdown-timeout={_SHUTDOWN_SECONDS}",
            f"--signals-to-handle={_SIGNALS}",
            "--no-python",
            *python_command(),
            "-m",
            "torchdeck.engine.launching.rank_process",
            str(self._folder.path),
        ]
        # torchrun would set it to 1 with a warning; every process sets its own number of threads.
        environment = {"OMP_NUM_THREADS": "1", **os.environ, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        if meeting is not None and (interface := meeting.interface()):
            # By itself it takes the one of the machine's name, which may lead nowhere.
            environment.setdefault("GLOO_SOCKET_IFNAME", interface)
        with self._folder.agent_log.open("wb") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
                start_new_session=True,
            )

    def _look(self) -> None:
        self.message = self._folder.message()
        if self.path is None and (path := self._folder.run_path()) is not None:
            self.path, self.status = path, "running"
            self._on_directory(path)
        if self.path is not None and self._waiting:
            # There may be no socket yet: then at the next look.
            with contextlib.suppress(RunError):
                send(self.path, self._waiting[0])
                del self._waiting[0]

    def _end(self) -> None:
        """Find out how it ended: the agent's own exit status says nothing of the run."""
        self._has_ended = True
        if self.path is None:
            self._end_before_it_began()
        else:
            self._end_of(self.path)
        self._folder.remove()

    def _end_before_it_began(self) -> None:
        refusal = self._folder.refusal()
        if self._asked and not refusal:
            self.status = "stopped"
            return
        self.status = "failed"
        self.error = (
            _Refusal(refusal)
            if refusal
            else RunError(
                self._why_parted() or f"the processes ended before the run began: {self._folder.last_output()}"
            )
        )

    def _end_of(self, path: Path) -> None:
        state = read_state(path)
        status = state.get("status")
        if status in ENDED_STATUSES:
            self.status = status  # type: ignore[assignment]
            if status == "failed":
                self.error = RunError(str(state.get("error") or "failed"))
            return
        self.status = "failed"
        restarts = self._launch.config.parallel.restarts
        self.error = RunError(
            self._folder.failure()
            or self._why_parted()
            or f"a process was lost more than parallel.restarts = {restarts} times: {why_died(path)}"
        )

    def _why_parted(self) -> str:
        """Why several machines are not, or no longer, together; empty where that is not why it ended."""
        if self._meeting is None:
            return ""
        ranks = read_ranks(self.path) if self.path is not None else []
        return why_machines_parted(self._folder.agent_output(), self._meeting, self._launch.config.parallel, ranks)


class _Refusal(TorchdeckError):
    """What a process of the run said before it had a directory."""


def _machine_words(config: RunConfig, meeting: Meeting | None) -> list[str]:
    """What torchrun is told of the machines. Raises ConfigError."""
    machines = config.parallel.machines
    if meeting is None:
        if machines > 1:
            raise ConfigError(
                f"parallel.machines = {machines}: say on each of them where they meet, such as: torchdeck train … "
                f"--nodes {machines} --join {socket.gethostname()}:29500"
            )
        return ["--nnodes=1", "--rdzv-endpoint=localhost:0", f"--rdzv-id={new_launch_id()}"]
    return [
        f"--nnodes={machines}",
        f"--rdzv-endpoint={meeting.text}",
        f"--rdzv-id=torchdeck-{meeting.port}",
        f"--rdzv-conf=is_host={int(meeting.is_here())},{_patience(config.parallel)}",
        f"--local-addr={meeting.own_address()}",
    ]


def _patience(parallel: ParallelConfig) -> str:
    """How long torchrun's agents do without each other: as long as the processes do, not its own 15 seconds.

    Not less than its own minute for an answer, whatever the processes' time-out: agents also start and stop them.
    """
    seconds = max(_LEAST_PATIENCE_SECONDS, math.ceil(parallel.timeout_minutes * 60))
    return (
        f"join_timeout={math.ceil(parallel.meeting_minutes * 60)},read_timeout={seconds},"
        f"keep_alive_interval={_ALIVE_SECONDS},keep_alive_max_attempt={seconds // _ALIVE_SECONDS}"
    )


def number_of_processes(config: RunConfig) -> int:
    """The processes of a run on this machine.

    Raises:
        ConfigError: one for each GPU, and there is none.
    """
    parallel = config.parallel
    if parallel.devices:
        return len(parallel.devices)
    if parallel.processes:
        return parallel.processes
    import torch

    if not (count := torch.cuda.device_count()):
        raise ConfigError("parallel.processes = 0: one process for each GPU, and torch finds no GPU on this machine")
    return count


def launch_ranks(
    config: RunConfig,
    runs_root: Path,
    *,
    argv: Sequence[str] = (),
    on_directory: Callable[[Path], None] = lambda path: None,
    part_of: Mapping[str, Any] = MappingProxyType({}),
    meeting: Meeting | None = None,
) -> LaunchedRanks:
    """Start a new run of several processes, and return immediately; see `torchdeck.engine.launching.launch.launch`.

    Args:
        config, runs_root, argv, on_directory, part_of: as there.
        meeting: where the machines meet, if there are several.

    Raises:
        ConfigError: one process for each GPU, and there is none; several machines that can't meet.
    """
    kept = with_secrets_kept(with_absolute_paths(config))
    words = tuple(words_with_secrets_kept(argv))
    launch = Launch(new_launch_id(), _counted(kept), runs_root, words, part_of)
    return LaunchedRanks(launch, on_directory, meeting)


def launch_ranks_resumed(
    path: Path,
    *,
    checkpoint: Path | None = None,
    overrides: Sequence[str] = (),
    on_directory: Callable[[Path], None] = lambda path: None,
    meeting: Meeting | None = None,
) -> LaunchedRanks:
    """Resume a run with several processes; see `torchdeck.engine.launching.launch.launch_resumed`, and `launch_ranks`.

    Raises:
        ConfigError: its config is damaged, an override is not allowed, or several machines can't meet.
        RunError: the run is being trained by a live process.
    """
    refuse_trained(path)
    config = _counted(load_run_config(path, overrides))
    launch = Launch(new_launch_id(), config, path.parent, run=path, checkpoint=checkpoint, overrides=tuple(overrides))
    return LaunchedRanks(launch, on_directory, meeting)


def _counted(config: RunConfig) -> RunConfig:
    """The config with the number of processes that it takes."""
    parallel = config.parallel.model_copy(update={"processes": number_of_processes(config)})
    return config.model_copy(update={"parallel": parallel})
