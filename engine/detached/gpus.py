"""The GPUs of this machine as NVML sees them: free memory, and the processes that compute on them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import ConfigError, TorchdeckError


@dataclass(frozen=True)
class GpuState:
    """One GPU at a moment.

    Attributes:
        index: its number, by PCI bus, as nvidia-smi lists it.
        uuid: its name that stays, such as "GPU-5a2f…".
        free: bytes of memory that are free.
        total: bytes of memory.
        processes: those that compute on it.
    """

    index: int
    uuid: str
    free: int
    total: int
    processes: tuple[int, ...]


class Gpus(Protocol):
    """What tells of the GPUs."""

    def look(self) -> Sequence[GpuState]:
        """All of them, by index. Raises TorchdeckError where that can't be known."""
        ...


class NvmlGpus:
    """The GPUs by way of the driver's library."""

    def __init__(self) -> None:
        """Load the library. Raises TorchdeckError where there is no driver."""
        import pynvml

        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise TorchdeckError(
                f"the GPUs can't be looked at: {error}; on a machine without NVIDIA GPUs use --cpus N"
            ) from error

    def look(self) -> list[GpuState]:
        """All GPUs, by index. Raises TorchdeckError."""
        nvml = self._nvml
        try:
            return [self._state(nvml.nvmlDeviceGetHandleByIndex(at), at) for at in range(nvml.nvmlDeviceGetCount())]
        except nvml.NVMLError as error:
            raise TorchdeckError(f"the GPUs can't be looked at: {error}") from error

    def _state(self, handle: Any, index: int) -> GpuState:
        nvml = self._nvml
        uuid = nvml.nvmlDeviceGetUUID(handle)
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        processes = nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        name = uuid if isinstance(uuid, str) else uuid.decode()
        return GpuState(index, name, memory.free, memory.total, tuple(process.pid for process in processes))


def chosen_gpus(states: Sequence[GpuState], chosen: str) -> list[GpuState]:
    """The GPUs that a list such as "0-3,6" names; all for "all".

    Raises:
        ConfigError: a number that is no GPU's, or what is no list.
    """
    if chosen == "all":
        return list(states)
    numbers: list[int] = []
    for part in chosen.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"--gpus {chosen}: write numbers and ranges, such as 0-3,6, or all")
        numbers += range(int(first), int(last or first) + 1)
    known = {state.index: state for state in states}
    for number in numbers:
        if number not in known:
            there = ", ".join(map(str, known)) or "none"
            raise ConfigError(f"--gpus {chosen}: there is no GPU {number}; this machine has: {there}")
    return [known[number] for number in dict.fromkeys(numbers)]


def gpu_environment(uuids: Sequence[str]) -> dict[str, str]:
    """Variables for a process that shall see these GPUs alone."""
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(uuids)}


def is_own_or_gone(pid: int, own: Sequence[int]) -> bool:
    """Whether a process on a GPU is one of ours, or has ended since it was listed."""
    return pid in own or not os.path.exists(f"/proc/{pid}")
