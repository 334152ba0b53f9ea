"""A worker's process: `python -m torchdeck.engine.sweeps.worker_process FOLDER`."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import FrameType

from ..detached.file_lock import FileLock, try_lock
from ..errors import TorchdeckError
from .crew import CAN_NOT_WORK
from .folder import SweepFolder
from .place import Place
from .worker import Worker


def main() -> int:
    """Work on a sweep until it is done. Returns the exit status."""
    arguments = _arguments()
    stop_signals: list[int] = []

    def note_signal(number: int, frame: FrameType | None) -> None:
        stop_signals.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, note_signal)
    try:
        folder = SweepFolder(arguments.folder)
        slot, lock = _free_slot(folder)
        with lock:
            place = Place(arguments.gpu, arguments.threads, is_shared=arguments.shares_gpu)
            Worker(folder, slot, place, lambda: bool(stop_signals), _say).work()
    except TorchdeckError as error:
        print(f"torchdeck: {error}", file=sys.stderr)
        return CAN_NOT_WORK
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--gpu", default="")
    parser.add_argument("--shares-gpu", action="store_true")
    return parser.parse_args()


def _free_slot(folder: SweepFolder) -> tuple[int, FileLock]:
    """The lowest number that no live worker has, and its lock."""
    slots: Iterator[int] = count()
    while True:
        slot = next(slots)
        lock = try_lock(folder.worker_file(slot, "lock"))
        if lock is not None:
            return slot, lock


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
