"""One process of a run of several: what torchrun starts, and starts again after one of them was lost.

    torchrun … python -P -m torchdeck.engine.launching.rank_process FOLDER

FOLDER holds what the launch consists of (see `torchdeck.engine.launching.launch_folder`). The exit status tells the
agent alone: 0 whenever there is nothing to start again, and how the run ended stands in its directory.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ..errors import PartsNeededError, RunError, TorchdeckError
from ..run_files import LOG_FILE, RANKS_FOLDER
from ..runs.on_disk.directory import ENDED_STATUSES, list_runs, read_info, read_state
from ..runs.rank_states import read_ranks, silent_ranks
from .failure_words import describe_failure
from .launch_folder import Launch, LaunchFolder
from .launched_run import LaunchedRun
from .notify import wait_until_told

if TYPE_CHECKING:
    from ..distributed.process_group import ProcessGroup

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
_LOOK_SECONDS = 0.25
_SILENT_SECONDS = 5.0
# From linux/prctl.h: the signal that a process gets when the one that started it ends.
_PR_SET_PDEATHSIG = 1


class _Stops:
    """Remembers that a signal asked to stop. A second one is the same request: launchers send several.

    Attributes:
        is_heeded: whether there is a run that can be asked; before that, a signal ends the process.
    """

    def __init__(self) -> None:
        self.name = ""
        self.is_heeded = False
        self._is_passed_on = False
        for number in _STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def pass_on(self, run: LaunchedRun) -> None:
        if self.name and not self._is_passed_on:
            self._is_passed_on = True
            run.stop(reason=self.name)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.name = self.name or signal.Signals(number).name
        if not self.is_heeded:
            os._exit(128 + number)


def main(folder: Path) -> int:
    """Train as one process of the launch in `folder`. Returns the exit status."""
    _end_with_parent()
    stops = _Stops()
    rank = int(os.environ["RANK"])
    launch = LaunchFolder(folder)
    launch.take_output(rank)
    from ..distributed.process_group import ProcessGroup

    described = launch.read()
    ranks = ProcessGroup.of_environment(described.config.parallel.timeout_minutes, launch.largest_part(rank))
    try:
        if ranks.world > ranks.local_world:
            described = _agreed_launch(described, launch, ranks)
        earlier = ranks.agreed(_run_of_launch(described) if ranks.is_first else None)
        failure = ranks.agreed(launch.failure() if ranks.is_first else "")
        if earlier is not None and (failure or read_state(earlier).get("status") in ENDED_STATUSES):
            # Nothing to resume: it ended, and only some of its processes could say so.
            if ranks.is_first:
                _close(earlier, described, failure)
            return 0
        if failure:
            return 0
        run = _launched(described, launch, ranks, earlier)
    except TorchdeckError as error:
        launch.refuse(describe_failure(error), rank)
        return 0
    stops.is_heeded = True
    while run.is_alive:
        run.join(_LOOK_SECONDS)
        stops.pass_on(run)
        if ranks.is_first:
            launch.tell_progress(run.message if run.path is None else "")
    return _exit_status(run, launch, ranks)


def _agreed_launch(own: Launch, folder: LaunchFolder, ranks: ProcessGroup) -> Launch:
    """The launch that rank 0's machine describes, on every machine.

    Raises:
        TorchdeckError: the machines don't share the folder of runs.
    """
    described: Launch = ranks.agreed(own)
    if ranks.local_rank == 0:
        folder.agree(described)
    mark = described.runs_root / f".{described.launch_id}"
    try:
        if ranks.is_first:
            described.runs_root.mkdir(parents=True, exist_ok=True)
            mark.touch()
        ranks.agreed(None)
        ranks.together(lambda: _see(mark))
    finally:
        if ranks.is_first:
            mark.unlink(missing_ok=True)
    return described


def _see(mark: Path) -> None:
    # A listing, unlike a look at a name, is not kept by network file systems.
    if not mark.parent.is_dir() or mark.name not in os.listdir(mark.parent):
        raise RunError(
            f"{mark.parent} on {socket.gethostname()} is not the folder of the first machine: several machines need a "
            "folder of runs that they share (--runs)"
        )


def _launched(described: Launch, folder: LaunchFolder, ranks: ProcessGroup, earlier: Path | None) -> LaunchedRun:
    from .launch import launch, launch_resumed

    def on_directory(path: Path) -> None:
        if ranks.local_rank == 0:
            folder.tell_path(path)
        folder.move_output(path / LOG_FILE if ranks.is_first else path / RANKS_FOLDER / f"{ranks.rank}.log")

    if earlier is not None:
        return launch_resumed(earlier, on_directory=on_directory, ranks=ranks, takes_over=True)
    if described.run is not None:
        return launch_resumed(
            described.run,
            checkpoint=described.checkpoint,
            overrides=described.overrides,
            on_directory=on_directory,
            ranks=ranks,
        )
    return launch(
        described.config,
        described.runs_root,
        argv=described.argv,
        on_directory=on_directory,
        ranks=ranks,
        part_of={**described.part_of, "launch": described.launch_id, "processes": ranks.world},
    )


def _run_of_launch(described: Launch) -> Path | None:
    """The run that an earlier life of these processes made or resumed."""
    if described.run is not None:
        return described.run if described.has_begun else None
    if not described.runs_root.is_dir():
        return None
    for summary in list_runs(described.runs_root):
        if read_info(summary.path).get("launch") == described.launch_id:
            return summary.path
    return None


def _close(path: Path, described: Launch, failure: str) -> None:
    """Write how a run ended whose first process could not."""
    from ..runs.writer import RunWriter

    state = read_state(path)
    if state.get("status") in ENDED_STATUSES:
        return
    run = RunWriter.reopen(path, described.config, at_step=state.get("step", 0))
    run.close("failed", error=failure)


def _exit_status(run: LaunchedRun, folder: LaunchFolder, ranks: ProcessGroup) -> int:
    error = run.error
    if error is None:
        ranks.leave()
        return 0
    if isinstance(error, PartsNeededError):
        print(f"torchdeck: {error}", file=sys.stderr)
        folder.tell_part(ranks.rank, error.largest_part)
        return 1
    if ranks.is_lost_peer(error):
        words = f"{_lost_words(run, ranks)}: {str(error).splitlines()[0]}"
        print(f"torchdeck: {words}", file=sys.stderr)
        sys.stderr.flush()
        if ranks.is_first and not ranks.can_begin_again:
            run.give_up(folder.failure() or f"{words}; the restarts of parallel.restarts are used up")
        return 1
    words = describe_failure(error)
    if not isinstance(error, TorchdeckError):
        traceback.print_exception(error)
    if run.path is None:
        folder.refuse(words, ranks.rank)
    elif type(error).__name__ != "RankError":
        folder.fail(words, ranks.rank)
    sys.stderr.flush()
    return 0 if ranks.is_first or run.path is None else 1


def _lost_words(run: LaunchedRun, ranks: ProcessGroup) -> str:
    """Which other process is gone or silent, and where it stood."""
    states = read_ranks(run.path) if run.path is not None else []
    silent = [state for state in silent_ranks(states, time.time(), _SILENT_SECONDS) if state["rank"] != ranks.rank]
    if not silent:
        return "another process of the run is lost"
    return "; ".join(
        f"process {state['rank']} on {state.get('host')} was last heard of "
        f"{time.time() - state['time']:.0f} s ago, {state.get('phase')} at step {state.get('step')}"
        for state in silent
    )


def _end_with_parent() -> None:
    """Be told to stop when torchrun's agent is gone: nobody would start the others again."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    status = main(Path(sys.argv[1]))
    sys.stdout.flush()
    sys.stderr.flush()
    wait_until_told()
    if threading.active_count() > 1 or status:
        # Threads of a group whose processes are gone wait for them.
        os._exit(status)
    sys.exit(status)
