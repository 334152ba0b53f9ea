"""The device that a config names."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import ConfigError
from ..plurals import plural


def choose_device(name: str) -> torch.device:
    """The device that `name` asks for; "auto" is the first GPU, else the CPU. Raises ConfigError."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        index = device.index or 0
        if index >= count:
            found = "no GPU that torch can use" if count == 0 else plural(count, "GPU")
            raise ConfigError(
                f'training.device = \'{name}\': this machine has {found}; use "auto" or "cpu" '
                "(`torchdeck doctor` says why)"
            )
        return torch.device("cuda", index)
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ConfigError('training.device = \'mps\': Apple\'s Metal is not available here; use "auto" or "cpu"')
    return device


def device_of_rank(name: str, devices: Sequence[int], local_rank: int, local_world: int) -> str:
    """The name of the device that one of several processes of a machine trains on.

    Args:
        name: `training.device`.
        devices: `parallel.devices`; empty for the first GPUs.
        local_rank, local_world: number of the process on its machine, and how many there are.

    Raises:
        ConfigError: they can't all have one.
    """
    if devices and name not in ("auto", "cuda"):
        raise ConfigError(
            f"training.device = '{name}': parallel.devices names GPUs; leave training.device at \"auto\""
        )
    if name == "cpu" or (name == "auto" and not devices and not torch.cuda.is_available()):
        return "cpu"
    if name not in ("auto", "cuda"):
        raise ConfigError(
            f"training.device = '{name}': is one device, and parallel.processes = {local_world}; use \"auto\", "
            '"cuda" or "cpu", or name the GPUs in parallel.devices'
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    wanted = list(devices) or list(range(local_world))
    missing = [str(number) for number in wanted if number >= count]
    if missing:
        raise ConfigError(
            f"parallel: needs GPU {', '.join(missing)}; this machine has {plural(count, 'GPU')}"
            + (f", numbered 0 to {count - 1}" if count else ' (training.device = "cpu" trains on its cores)')
        )
    return f"cuda:{wanted[local_rank]}"
