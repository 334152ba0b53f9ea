"""The device that a config names."""

from __future__ import annotations

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
