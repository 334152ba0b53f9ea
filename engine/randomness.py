"""The random streams of the training step: a pure function of (seed, step), so that nothing else can move them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """A 63-bit seed for one step of one process.

    The finaliser of splitmix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014), applied
    to each coordinate in turn.
    """
    return _seed_of(_mix(seed), step, rank)


def _seed_of(mixed_seed: int, step: int, rank: int = 0) -> int:
    return _mix(_mix(mixed_seed + step) + rank) >> 1


def _mix(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


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

    def seed_step(self, step: int) -> None:
        """Set the generators for `step`, counted from 0."""
        seed = _seed_of(self._mixed_seed, step)
        for generator in self._generators:
            generator.manual_seed(seed)


def seed_everything(seed: int) -> None:
    """Seed torch, Python's `random` and NumPy's global generator for building the model and the run's start."""
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed % 2**32)


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
