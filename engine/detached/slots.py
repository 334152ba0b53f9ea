"""Places where one run at a time trains: a GPU, or a share of the cores. A lock per place keeps others out.

The lock of a GPU is on a file that all users of the machine share, so that two queues of two users never take the same
one. The process of the run inherits it: the place is taken until that process ends, whatever happens to its worker.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..errors import RunError
from .file_lock import FileLock, try_lock
from .gpus import Gpus, GpuState, gpu_environment

GPU_LOCKS = Path("/tmp/torchdeck-gpu-locks")
QUIET_SECONDS = 30.0
"""How long a GPU must have been free before a run is started there."""


@dataclass
class Slot:
    """A place that was taken.

    Attributes:
        name: "gpu 0" or "cpu 1".
        uuid: the GPU's; empty for cores.
        lock: holds it; a run's process inherits it.
    """

    name: str
    uuid: str
    lock: FileLock


class Slots(Protocol):
    """The places of a worker."""

    @property
    def count(self) -> int:
        """How many there are."""
        ...

    def take(self, wanted: int, memory: int) -> list[Slot]:
        """So many places that are free now, each with so much memory; empty where there are not enough."""
        ...

    def environment(self, slots: Sequence[Slot]) -> dict[str, str]:
        """Variables for the process of a run in these places."""
        ...


@dataclass
class CpuSlots:
    """Shares of the cores.

    Attributes:
        count: how many.
        folder: where their locks lie.
    """

    count: int
    folder: Path

    def take(self, wanted: int, memory: int) -> list[Slot]:
        """Free places; memory is not asked for."""
        taken: list[Slot] = []
        for number in range(self.count):
            if len(taken) < wanted and (lock := try_lock(self.folder / f"cpu-{number}.lock")) is not None:
                taken.append(Slot(f"cpu {number}", "", lock))
        return _all_or_none(taken, wanted)

    def environment(self, slots: Sequence[Slot]) -> dict[str, str]:
        """Nothing: a config says which cores it wants by training.num_threads."""
        return {}


@dataclass
class GpuSlots:
    """GPUs, each of them free once nobody computes on it for a while.

    Attributes:
        gpus: tells of them.
        chosen: the UUIDs of those that may be used.
        free: bytes that must be free where a job does not know what it takes.
        quiet_seconds: how long a GPU must have been free.
        clock: seconds, for tests of waiting.
        folder: where the locks lie.
    """

    gpus: Gpus
    chosen: tuple[str, ...]
    free: int = 0
    quiet_seconds: float = QUIET_SECONDS
    clock: Callable[[], float] = time.monotonic
    folder: Path = GPU_LOCKS
    _free_since: dict[str, tuple[float, int]] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many GPUs may be used."""
        return len(self.chosen)

    def take(self, wanted: int, memory: int) -> list[Slot]:
        """GPUs on which nothing has computed for a while, with so much free memory; call it every second or so."""
        make_lock_folder(self.folder)
        now, needed = self.clock(), memory or self.free
        states = {state.uuid: state for state in self.gpus.look() if state.uuid in self.chosen}
        for uuid in self.chosen:
            state = states.get(uuid)
            if state is None or state.processes:
                self._free_since.pop(uuid, None)
                continue
            since, least = self._free_since.get(uuid, (now, state.free))
            self._free_since[uuid] = (since, min(least, state.free))
        taken: list[Slot] = []
        for uuid in self.chosen:
            if len(taken) < wanted and self._is_quiet(uuid, states, now, needed):
                lock = try_lock(self.folder / f"{uuid}.lock", shared_by_users=True)
                if lock is not None:
                    taken.append(Slot(f"gpu {states[uuid].index}", uuid, lock))
        slots = _all_or_none(taken, wanted)
        for slot in slots:
            # The next run there waits anew.
            self._free_since.pop(slot.uuid, None)
        return slots

    def environment(self, slots: Sequence[Slot]) -> dict[str, str]:
        """The process sees its GPUs alone, as cuda:0 and following."""
        return gpu_environment([slot.uuid for slot in slots])

    def _is_quiet(self, uuid: str, states: dict[str, GpuState], now: float, needed: int) -> bool:
        if uuid not in self._free_since:
            return False
        since, least = self._free_since[uuid]
        if least < needed <= states[uuid].free:
            # Memory was given back just now: the time counts from here.
            self._free_since[uuid] = (now, states[uuid].free)
            return False
        return least >= needed and now - since >= self.quiet_seconds


def make_lock_folder(folder: Path) -> None:
    """The folder of the locks that all users share, as /tmp itself is shared. Raises RunError where it can't be so."""
    try:
        folder.mkdir(exist_ok=True)
        status = os.lstat(folder)
        if status.st_uid == os.getuid() and stat.S_IMODE(status.st_mode) != 0o1777:
            os.chmod(folder, 0o1777)
        if not stat.S_ISDIR(status.st_mode):
            raise NotADirectoryError(f"{folder} is not a folder")
    except OSError as error:
        raise RunError(f"{folder}: the locks of the GPUs can't be kept there: {error.strerror or error}") from error


def _all_or_none(taken: list[Slot], wanted: int) -> list[Slot]:
    if len(taken) == wanted:
        return taken
    for slot in taken:
        slot.lock.release()
    return []
