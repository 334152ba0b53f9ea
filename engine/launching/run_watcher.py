"""The process beside a run: it records how the run's process ended, notifies, and bounds the run's log.

    python -m torchdeck.engine.launching.run_watcher RUN FOLDER PIDFD PID <NOTIFY.json

A process that is killed can say nothing itself. This one takes next to nothing while it waits, so whatever is needed
only at the end is imported only then. It ends with the run, and by itself once the run's process has.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from pathlib import Path

from ..files.regular_file import open_for_appending
from ..run_files import LOG_FILE
from ..runs.on_disk.log_bound import bound_log
from ..runs.process_end import out_of_memory_kills, signal_and_exit_status, wait_status

_LOOK_MILLISECONDS = 2_000


def watch(run: Path, held: Path, pidfd: int, pid: int, notify: str) -> None:
    """Wait for the end of the process `pid`, record how it ended, and notify as `notify` says: a NotifyConfig.

    Args:
        run: the run's directory, as a notification names it.
        held: the same by way of a descriptor: another folder in its place is not written to.
        pidfd: descriptor of the process.
        pid: its number.
        notify: whom to notify, as JSON.
    """
    end = select.poll()
    end.register(pidfd, select.POLLIN)
    # Of two looks, as the kernel may take a while from choosing a process to its end.
    kills_before, kills = out_of_memory_kills(), out_of_memory_kills()
    while not end.poll(_LOOK_MILLISECONDS):
        with contextlib.suppress(OSError):
            # A full disk has no room for the copy: another look will come.
            bound_log(held / LOG_FILE)
        kills_before, kills = kills, out_of_memory_kills()
    _speak_into(held / LOG_FILE)
    signal, exit_status = signal_and_exit_status(wait_status(pidfd, pid))
    if _note_death(held, pid, signal, exit_status, is_memory_short=out_of_memory_kills() > kills_before):
        _notify(run, held, notify)


def _speak_into(log: Path) -> None:
    """From here on the run's log has what this process prints: there its user looks."""
    with contextlib.suppress(OSError):
        descriptor = open_for_appending(log)
        os.dup2(descriptor, 2)
        os.close(descriptor)


def _note_death(run: Path, pid: int, signal: int | None, exit_status: int | None, *, is_memory_short: bool) -> bool:
    """Record how the run's process ended, if it could not do so itself. Whether it was recorded."""
    from ..runs.cause_of_death import Death, note_death
    from ..runs.on_disk.directory import ENDED_STATUSES, read_state

    state = read_state(run)
    if state.get("status") in ENDED_STATUSES or state.get("pid") != pid:
        # It recorded how the run ended, or the run is gone, or another process has already resumed it.
        return False
    note_death(run, Death(pid, time.time(), signal, exit_status, is_memory_short))
    return True


def _notify(run: Path, held: Path, notify: str) -> None:
    from ..config import NotifyConfig
    from ..runs.cause_of_death import why_died
    from .notify import tell_death

    tell_death(run, held, why_died(held), NotifyConfig.model_validate_json(notify))


if __name__ == "__main__":
    folder = Path(f"/proc/self/fd/{int(sys.argv[2])}")
    watch(Path(sys.argv[1]), folder, int(sys.argv[3]), int(sys.argv[4]), sys.stdin.read())
