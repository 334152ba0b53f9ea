"""Working on a queue: what `torchdeck queue work` does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence

import click

from torchdeck.engine.detached.gpus import NvmlGpus, chosen_gpus
from torchdeck.engine.detached.slots import CpuSlots, GpuSlots, Slots, make_lock_folder
from torchdeck.engine.machine.python_process import module_command
from torchdeck.engine.plurals import plural
from torchdeck.engine.queue.folder import Queue
from torchdeck.engine.queue.memory_need import estimated_memory
from torchdeck.engine.queue.worker import QueueWorker, work

from ..plain_text import printable
from ..words.shell_text import shell_command


def slots_of(queue: Queue, gpus: str, cpus: int | None, free: int) -> Slots:
    """The places of a worker.

    Args:
        queue: the queue.
        gpus: GPUs, such as "0-3" or "all"; empty for shares of the cores.
        cpus: how many of those.
        free: bytes that a GPU must have free where a run's needs are not known.

    Raises:
        ConfigError: a GPU that is not there.
        TorchdeckError: there is no driver.
    """
    if not gpus:
        return CpuSlots(cpus or 1, queue.slots_folder())
    found = NvmlGpus()
    slots = GpuSlots(found, tuple(state.uuid for state in chosen_gpus(found.look(), gpus)), free)
    make_lock_folder(slots.folder)
    return slots


def work_here(queue: Queue, slots: Slots, *, until_empty: bool, estimates_memory: bool) -> int:
    """Work on a queue until a signal comes, or nothing is left. Returns the exit status."""
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: received.append(number))
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    worker = QueueWorker(queue, slots, _say, estimated_memory if estimates_memory else lambda config: 0)
    _say(f"{plural(slots.count, 'place')} for the jobs in {queue.path}; Ctrl-C ends the worker, not its runs")
    work(worker, lambda: bool(received), until_empty=until_empty)
    for name in worker.leave():
        _say(f"trains on: {shell_command('attach', queue.runs_root / name)}")
    return 0


def work_detached(queue: Queue, words: Sequence[str]) -> int:
    """Work on a queue in the background. Returns the exit status."""
    command = module_command("torchdeck", "queue", "work", *words, "--runs", str(queue.runs_root))
    log_file = queue.slots_folder().parent / "worker.log"
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=os.environ.copy()
        )
    click.echo(f"works in process {process.pid}; {log_file} says what it does")
    return 0


def _say(text: str) -> None:
    # The worker outlives its terminal.
    with contextlib.suppress(OSError):
        click.echo(printable(text))
