"""What went wrong in a worker process of the DataLoader, told in the engine's process with what to do about it."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from dataclasses import dataclass
from multiprocessing.queues import Queue
from typing import Any

from ...errors import ConfigError, DataError, TorchdeckError, UserCodeError
from ...inputs import tensors_of
from ...machine.signal_names import signal_name

_SHARED_MEMORY = "/dev/shm"
_ENLARGE = (
    f"Enlarge it (docker run --shm-size=8g; mount -o remount,size=8g {_SHARED_MEMORY}), or use fewer workers "
    "(loader.num_workers), a smaller loader.prefetch_factor or loader.batch_size; loader.num_workers = 0 uses none"
)


@dataclass(frozen=True)
class WorkerFailure:
    """An error of a worker process as its class's name and text: the exception itself might not pickle."""

    kind: str
    text: str

    @classmethod
    def of(cls, error: Exception) -> WorkerFailure:
        """A failure to be sent in place of a batch."""
        if isinstance(error, TorchdeckError):
            return cls(type(error).__name__, str(error))
        frames = "".join(traceback.format_tb(error.__traceback__))
        return cls("DataError", f"{type(error).__name__}: {error}\n{frames}".rstrip())

    def error(self) -> TorchdeckError:
        """The error, to be raised in the engine's process."""
        known = {cls.__name__: cls for cls in (ConfigError, DataError, UserCodeError)}
        return known.get(self.kind, DataError)(self.text)


def report_lost_batches() -> None:
    """In a worker process: a batch that can't be handed over becomes a failure that can.

    By itself the queue's thread prints the error and drops the batch, for which the engine would wait for ever.
    """
    Queue._on_queue_feeder_error = _send_failure  # type: ignore[attr-defined]


def _send_failure(queue: Any, error: Exception, item: Any) -> None:
    number, batch = item if isinstance(item, tuple) and len(item) == 2 else (None, item)
    if isinstance(batch, WorkerFailure):
        # Not even this can be sent; the engine notices an ended process.
        traceback.print_exception(error)
        os._exit(1)
    queue.put((number, WorkerFailure("DataError", _lost_batch_words(error, batch))))


def _lost_batch_words(error: Exception, batch: Any) -> str:
    needed = sum(tensor.nbytes for tensor in tensors_of(batch))
    words = f"a worker process of the DataLoader can't hand over a batch of {needed / 1e6:,.1f} MB: {error}"
    room = _shared_memory()
    if room is None:
        return words
    total, free = room
    if free >= needed and total >= 4 * needed:
        return f"{words}; loader.num_workers = 0 needs no handing over"
    return (
        f"{words}. {_SHARED_MEMORY}, through which batches go, has {total / 1e6:,.1f} MB in all and {free / 1e6:,.1f} "
        f"MB free. {_ENLARGE}"
    )


def _shared_memory() -> tuple[int, int] | None:
    """Bytes of the shared memory, and of these free; None where there is none."""
    if sys.platform == "win32":
        return None
    try:
        found = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return None
    return found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize


def death_words(workers: list[Any], num_workers: int) -> str:
    """Which workers are gone, how they ended, and what to do about it.

    Args:
        workers: their processes.
        num_workers: `loader.num_workers`.
    """
    words, codes = [], set[int]()
    for number, worker in enumerate(workers):
        worker.join(0.1)
        code = worker.exitcode
        if code is not None:
            codes.add(code)
            how = f"was killed by {signal_name(-code)}" if code < 0 else f"exited with status {code}"
            words.append(f"worker {number} (process {worker.pid}) {how}")
    dead = ", ".join(words) or "unknown which"
    return f"a worker process of the DataLoader died: {dead}. {_advice(codes, num_workers)}"


def _advice(codes: set[int], num_workers: int) -> str:
    fewer = f"use fewer, loader.num_workers = {num_workers // 2}"
    if sys.platform != "win32" and -signal.SIGBUS in codes:
        return f"Its memory is a file that could not grow: {_SHARED_MEMORY} is full. {_ENLARGE}"
    if sys.platform == "win32" or -signal.SIGKILL in codes or not codes:
        return f"Often the machine ran out of memory: {fewer}"
    return f"What it printed is in the run's log. If it ran out of memory, {fewer}"
