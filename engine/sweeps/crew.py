"""The workers of a sweep on this machine: started, started again where one is killed, and told to end."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..errors import RunError
from ..machine.cores import available_cores
from ..machine.python_process import module_command
from .folder import SweepFolder

CAN_NOT_WORK = 3
"""Exit status of a worker that another one in its place would share."""

# A worker that is killed again and again: the machine has no room for it.
_MOST_RESTARTS = 100
_RESTART_SECONDS = 1.0


@dataclass
class _Seat:
    process: subprocess.Popen[bytes]
    options: tuple[str, ...]
    restarts: int = 0
    ended_at: float = field(default=0.0)


class Crew:
    """Worker processes of one sweep, which live on where this process is killed."""

    def __init__(self, folder: SweepFolder, workers: int, gpus: Sequence[str] = ()) -> None:
        """Start the workers.

        Args:
            folder: the sweep.
            workers: how many; how many for each GPU where some are named.
            gpus: UUIDs of the GPUs that they use; empty for whatever the configs say.
        """
        self._folder = folder
        count = workers * max(1, len(gpus))
        threads = max(1, available_cores() // count) if count > 1 else 0
        shares = ("--shares-gpu",) if workers > 1 else ()
        options = [("--gpu", gpu, *shares) for gpu in gpus for _ in range(workers)] or [()] * workers
        self._seats = [
            _Seat(self._started(own), own) for own in ((*each, "--threads", str(threads)) for each in options)
        ]

    @property
    def pids(self) -> list[int]:
        """The processes of the live workers."""
        return [seat.process.pid for seat in self._seats if seat.process.poll() is None]

    def look(self) -> bool:
        """Start killed workers again. Returns whether any still works.

        Raises:
            RunError: none can work, with the reason.
        """
        for seat in self._seats:
            status = seat.process.poll()
            if status in (None, 0, CAN_NOT_WORK) or seat.restarts >= _MOST_RESTARTS:
                continue
            seat.ended_at = seat.ended_at or time.monotonic()
            if time.monotonic() - seat.ended_at >= _RESTART_SECONDS:
                seat.process, seat.ended_at = self._started(seat.options), 0.0
                seat.restarts += 1
        if any(self._is_at_work(seat) for seat in self._seats):
            return True
        if all(seat.process.returncode == CAN_NOT_WORK for seat in self._seats):
            raise RunError(self._last_words())
        return False

    def end(self) -> None:
        """Ask the workers to save their runs and end. A second call does nothing more."""
        for seat in self._seats:
            seat.restarts = _MOST_RESTARTS
            if seat.process.poll() is None:
                seat.process.terminate()

    def _is_at_work(self, seat: _Seat) -> bool:
        status = seat.process.poll()
        return status is None or (status not in (0, CAN_NOT_WORK) and seat.restarts < _MOST_RESTARTS)

    def _started(self, options: Sequence[str]) -> subprocess.Popen[bytes]:
        command = module_command("torchdeck.engine.sweeps.worker_process", str(self._folder.path))
        with (self._folder.path / "workers.log").open("ab") as log:
            return subprocess.Popen(
                [*command, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _last_words(self) -> str:
        lines = (self._folder.path / "workers.log").read_text(encoding="utf-8", errors="replace").splitlines()
        said = [line for line in lines if line.startswith("torchdeck: ")]
        return said[-1].removeprefix("torchdeck: ") if said else "no worker can work; workers.log may say why"
