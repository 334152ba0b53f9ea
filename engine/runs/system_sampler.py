"""Sample CPU, memory and GPU of a run's machine every few seconds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from ..run_files import SYSTEM_FILE
from .on_disk.journal import LineFile

SAMPLE_SECONDS = 5.0


class SystemSampler:
    """Appends a line to `system.jsonl` every few seconds, in a thread of its own that never touches torch."""

    def __init__(
        self,
        run: Path,
        step: Callable[[], int],
        gpu_uuid: str = "",
        every: float = SAMPLE_SECONDS,
    ) -> None:
        """Sample this process.

        Args:
            run: the run's directory.
            step: optimizer steps done so far; called in the sampler's thread.
            gpu_uuid: which GPU the run uses, as NVML names it; empty for none.
            every: seconds between two samples.
        """
        self._path = run / SYSTEM_FILE
        self._every = every
        self._step = step
        self._process = psutil.Process()
        self._known_workers: dict[psutil.Process, psutil.Process] = {}
        self._gpu = Gpu(gpu_uuid) if gpu_uuid else None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample_until_ended, name="system", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._process.cpu_percent()
        self._thread.start()

    def stop(self) -> None:
        """End the thread, if it was started."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._gpu is not None:
            self._gpu.close()

    def _sample_until_ended(self) -> None:
        try:
            file = LineFile(self._path)
        except OSError:
            # The journal, which writes to the same folder, reports its problem.
            return
        while not self._ended.wait(self._every):
            file.add(self.sample())
            file.write()
        file.close()

    def sample(self) -> dict[str, Any]:
        """One record.

        `step` is the optimizer steps done, `cpu` the share of one core that the process and its workers take, `memory`
        their resident bytes, `memory_free` the machine's available bytes; `gpu` is None where it is not known.
        """
        workers = self._workers()
        cpu, memory = self._process.cpu_percent() / 100, self._process.memory_info().rss
        for worker in workers:
            try:
                cpu += worker.cpu_percent() / 100
                memory += worker.memory_info().rss
            except psutil.Error:
                continue
        return {
            "kind": "system",
            "time": time.time(),
            "step": self._step(),
            "cpu": round(cpu, 3),
            "memory": memory,
            "memory_free": psutil.virtual_memory().available,
            "workers": len(workers),
            "gpu": self._gpu.sample() if self._gpu is not None else None,
        }

    def _workers(self) -> list[psutil.Process]:
        """The processes that read data for it; what was started beside it has a session of its own."""
        try:
            children = [child for child in self._process.children(recursive=True) if _is_in_our_session(child.pid)]
        except psutil.Error:
            children = []
        # psutil measures a share of the processor between two questions to the same object.
        self._known_workers = {child: self._known_workers.get(child, child) for child in children}
        return list(self._known_workers.values())


def _is_in_our_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == os.getsid(0)
    except OSError:
        # It has ended.
        return False


class Gpu:
    """One NVIDIA GPU through NVML."""

    def __init__(self, uuid: str) -> None:
        import pynvml

        self._nvml: Any = pynvml
        self._handle: Any = None
        try:
            pynvml.nvmlInit()
            self._handle = pynvml.nvmlDeviceGetHandleByUUID(uuid if uuid.startswith("GPU-") else f"GPU-{uuid}")
        except pynvml.NVMLError:
            # No driver, or one that hides its devices: then nothing is known.
            self._handle = None

    def sample(self) -> dict[str, float] | None:
        """`utilisation` and `memory_used`, `memory_total` (bytes), `power` (W), `temperature` (°C); None if unknown.

        Values that this GPU doesn't report are left out.
        """
        if self._handle is None:
            return None
        nvml, found = self._nvml, {}
        for name, read in (
            ("utilisation", lambda: nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu / 100),
            ("memory_used", lambda: nvml.nvmlDeviceGetMemoryInfo(self._handle).used),
            ("memory_total", lambda: nvml.nvmlDeviceGetMemoryInfo(self._handle).total),
            ("power", lambda: nvml.nvmlDeviceGetPowerUsage(self._handle) / 1000),
            ("temperature", lambda: nvml.nvmlDeviceGetTemperature(self._handle, nvml.NVML_TEMPERATURE_GPU)),
        ):
            try:
                found[name] = float(read())
            except nvml.NVMLError:
                continue
        return found or None

    def close(self) -> None:
        """Give the library back."""
        if self._handle is not None:
            self._nvml.nvmlShutdown()
            self._handle = None
