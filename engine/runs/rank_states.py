"""Where each process of a run stands: a small file for each, `ranks/<number>.json`, that it replaces every second."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypedDict, cast

from ..files.documents import DocumentError, parse_json
from ..files.durable import atomic_write
from ..files.regular_file import read_regular_file
from ..run_files import RANKS_FOLDER
from .on_disk.state_file import StateFile
from .system_sampler import Gpu

_BEAT_SECONDS = 1.0
_MOST_BYTES = 16 << 10
_MOST_RANKS = 4096


class RankState(TypedDict, total=False):
    """What a process says of itself.

    `step` is the optimizer steps it has done, `step_seconds` their mean time since the last word, `waits` the share of
    it that it waited for data, `gpu` what NVML says, `memory` its resident bytes.
    """

    rank: int
    world: int
    host: str
    pid: int
    device: str
    time: float
    step: int
    phase: str
    step_seconds: float | None
    waits: float | None
    cpu: float
    memory: int
    gpu: dict[str, float] | None


class RankBeat:
    """Writes this process's `RankState` every second, in a thread of its own. A context manager."""

    def __init__(
        self,
        run: Path,
        rank: int,
        world: int,
        device: str,
        gpu_uuid: str,
        look: Callable[[], tuple[StateFile, float | None]],
    ) -> None:
        """Write nothing yet.

        Args:
            run: the run's directory.
            rank, world: number of this process, and how many there are.
            device: where it trains.
            gpu_uuid: which GPU that is; empty for none.
            look: the state of the run as this process knows it, and the seconds that it has waited for data; called in
                the thread.
        """
        import psutil

        self._file = run / RANKS_FOLDER / f"{rank}.json"
        self._known: RankState = {
            "rank": rank,
            "world": world,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "device": device,
        }
        self._look = look
        self._process = psutil.Process()
        self._gpu = Gpu(gpu_uuid) if gpu_uuid else None
        self._before: tuple[float, int, float] | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_ended, name="rank beat", daemon=True)

    def __enter__(self) -> RankBeat:
        self._process.cpu_percent()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        if self._gpu is not None:
            self._gpu.close()

    def _beat_until_ended(self) -> None:
        while True:
            is_last = self._ended.wait(_BEAT_SECONDS if self._before is not None else 0)
            # A full disk or a folder that was removed is reported by what writes the run.
            with contextlib.suppress(OSError):
                self._file.parent.mkdir(exist_ok=True)
                atomic_write(self._file, json.dumps(self._now()).encode(), durable=False)
            if is_last:
                return

    def _now(self) -> RankState:
        state, waited = self._look()
        now, step = time.time(), state.get("step", 0)
        seconds = waits = None
        if self._before is not None and waited is not None:
            then, step_then, waited_then = self._before
            if step > step_then:
                seconds = (now - then) / (step - step_then)
                waits = min(1.0, max(0.0, (waited - waited_then) / (now - then)))
        self._before = now, step, waited or 0.0
        return {
            **self._known,
            "time": now,
            "step": step,
            "phase": state.get("phase") or state.get("status") or "",
            "step_seconds": seconds,
            "waits": waits,
            "cpu": round(self._process.cpu_percent() / 100, 3),
            "memory": self._process.memory_info().rss,
            "gpu": self._gpu.sample() if self._gpu is not None else None,
        }


def read_ranks(run: Path) -> list[RankState]:
    """What the processes of a run said last, by their numbers; none for a run of one process. Damaged files are left
    out."""
    found = []
    for number in range(_MOST_RANKS):
        try:
            value: Any = parse_json(read_regular_file(run / RANKS_FOLDER / f"{number}.json", _MOST_BYTES))
        except FileNotFoundError:
            break
        except (OSError, DocumentError):
            continue
        if isinstance(value, dict) and value.get("rank") == number and isinstance(value.get("time"), int | float):
            found.append(cast("RankState", value))
    return found


def rank_logs(run: Path) -> list[Path]:
    """The logs of a run's processes but the first, by their numbers."""
    logs = [path for path in (run / RANKS_FOLDER).glob("*.log") if path.stem.isdigit()]
    return sorted(logs, key=lambda path: int(path.stem))


def silent_ranks(states: list[RankState], now: float, seconds: float) -> list[RankState]:
    """Those that said nothing for so long, as the clocks of their machines go."""
    return [state for state in states if now - state["time"] > seconds]
