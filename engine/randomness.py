"""The process's random generators: seeding them by (seed, step), keeping them, and their states in a checkpoint.

What a training step draws is a pure function of (seed, step), so that nothing else can move it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

WORD = 1 << 64
GOLDEN = 0x9E3779B97F4A7C15
MULTIPLIER_1 = 0xBF58476D1CE4E5B9
MULTIPLIER_2 = 0x94D049BB133111EB


def mix(value: int) -> int:
    """The finalizer of splitmix64 for one 64-bit integer.

    Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014.
    """
    value &= WORD - 1
    value = ((value ^ (value >> 30)) * MULTIPLIER_1) & (WORD - 1)
    value = ((value ^ (value >> 27)) * MULTIPLIER_2) & (WORD - 1)
    return value ^ (value >> 31)


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A 63-bit seed for one step of one process: splitmix64 applied to each coordinate in turn."""
    return _seed_of(_mix(seed), step, rank)


def _seed_of(mixed_seed: int, step: int, rank: int = 0) -> int:
    return _mix(_mix(mixed_seed + step) + rank) >> 1


def _mix(value: int) -> int:
    return mix(value + GOLDEN)


class StepRandomness:
    """Seeds torch's generators before every step: dropout and the like depend on (seed, step) alone."""

    def __init__(self, seed: int, device: torch.device) -> None:
        self._mixed_seed = _mix(seed)
        # Generator.manual_seed costs 1 µs; torch.manual_seed visits every device and costs 60 times that.
        self._generators = [torch.default_generator]
        if device.type == "cuda":
            torch.cuda.init()
            self._generators.append(torch.cuda.default_generators[device.index or 0])
        elif device.type == "mps":
            self._generators.append(torch.mps._get_default_mps_generator())

    def seed_step(self, step: int, rank: int = 0) -> None:
        """Set the generators for `step`, counted from 0, of one process or one shard of the batch."""
        seed = _seed_of(self._mixed_seed, step, rank)
        for generator in self._generators:
            generator.manual_seed(seed)


def seed_everything(seed: int) -> None:
    """Seed torch, Python's `random` and NumPy's global generator for building the model and the run's start."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


def seed_cpu_generators(key: int) -> None:
    """Seed torch's generator of the CPU, Python's `random` and NumPy's global generator by a 64-bit key."""
    # torch.manual_seed would also look for every accelerator, at a hundred times the cost.
    torch.default_generator.manual_seed(key >> 1)
    random.seed(key)
    np.random.seed(key & 0xFFFFFFFF)


@contextmanager
def generators_kept(*, with_cuda: bool = False) -> Iterator[None]:
    """Give the process's generators back as they were: the model's dropout, and user code, draw from them.

    Args:
        with_cuda: keep the generator of the current CUDA device too, where CUDA is in use.
    """
    cpu, python, numpy = torch.default_generator.get_state(), random.getstate(), np.random.get_state()
    devices = [torch.cuda.current_device()] if with_cuda and torch.cuda.is_initialized() else []
    cuda = [torch.cuda.get_rng_state(device) for device in devices]
    try:
        yield
    finally:
        torch.default_generator.set_state(cpu)
        random.setstate(python)
        np.random.set_state(numpy)
        for device, state in zip(devices, cuda, strict=True):
            torch.cuda.set_rng_state(state, device)


def capture_python_randomness() -> dict[str, Any]:
    """The states of Python's and NumPy's global generators, for user code that draws from them in a step.

    Plain values and tensors only, as a checkpoint holds them.
    """
    version, words, gauss = random.getstate()
    array = np.random.get_state(legacy=False)
    return {
        "python": {"version": version, "words": list(words), "gauss": gauss},
        "numpy": {
            "keys": torch.from_numpy(array["state"]["key"].astype(np.int64)),
            "position": int(array["state"]["pos"]),
            "has_gauss": int(array["has_gauss"]),
            "cached": float(array["gauss"]),
        },
    }


def restore_python_randomness(state: dict[str, Any]) -> None:
    """Undo `capture_python_randomness`."""
    python, array = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["words"]), python["gauss"]))
    keys = array["keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, array["position"], array["has_gauss"], array["cached"]))
