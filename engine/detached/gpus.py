"""The GPUs of this machine as NVML sees them: free memory, and the processes that compute on them, of all users."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import psutil

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
        name: what it is, such as "NVIDIA A100-SXM4-80GB".
        taken: bytes that each of the processes has; 0 where the driver does not say.
    """

    index: int
    uuid: str
    free: int
    total: int
    processes: tuple[int, ...]
    name: str = ""
    taken: tuple[int, ...] = ()


@dataclass(frozen=True)
class Occupant:
    """A process that computes on a GPU.

    Attributes:
        pid: its number.
        user: whose it is; empty if that is not to be known.
        program: its program, such as "python"; empty if that is not to be known.
        taken: bytes of the GPU's memory that it has; 0 if that is not known.
    """

    pid: int
    user: str
    program: str
    taken: int


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
            raise TorchdeckError(f"the GPUs can't be looked at: {error}") from error

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
        return GpuState(
            index,
            _text(uuid),
            memory.free,
            memory.total,
            tuple(process.pid for process in processes),
            _text(nvml.nvmlDeviceGetName(handle)),
            tuple(int(process.usedGpuMemory or 0) for process in processes),
        )


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


def visible_gpus(states: Sequence[GpuState], environment: Mapping[str, str]) -> list[GpuState]:
    """The GPUs that CUDA shows to a process, with the numbers it gives them: CUDA_VISIBLE_DEVICES may leave some out.

    As in CUDA, the list ends before the first entry that is no GPU.
    """
    chosen = environment.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return list(states)
    found: list[GpuState] = []
    for entry in map(str.strip, chosen.split(",")):
        named = [
            state
            for state in states
            if entry == str(state.index) or (entry[:4] == "GPU-" and state.uuid.startswith(entry))
        ]
        if len(named) != 1:
            break
        found.append(replace(named[0], index=len(found)))
    return found


def occupants(state: GpuState) -> list[Occupant]:
    """The processes that compute on a GPU and still live, the greatest first; those of other users are named, too."""
    found: list[Occupant] = []
    for at, pid in enumerate(state.processes):
        try:
            process = psutil.Process(pid)
            user, program = process.username(), process.name()
        except psutil.NoSuchProcess:
            continue
        except (psutil.AccessDenied, KeyError):
            # A user without a name, or in another container.
            user = program = ""
        found.append(Occupant(pid, user, program, state.taken[at] if at < len(state.taken) else 0))
    return sorted(found, key=lambda occupant: -occupant.taken)


def gpu_environment(uuids: Sequence[str]) -> dict[str, str]:
    """Variables for a process that shall see these GPUs alone."""
    return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(uuids)}


def is_own_or_gone(pid: int, own: Sequence[int]) -> bool:
    """Whether a process on a GPU is one of ours, or has ended since it was listed."""
    return pid in own or not os.path.exists(f"/proc/{pid}")


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()
