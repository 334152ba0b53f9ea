"""The GPUs that a process may use, their numbers, and who computes on them."""

import getpass
import os
from pathlib import Path

import pytest

from torchdeck.engine.detached.gpus import GpuState, occupants, visible_gpus

GB = 1 << 30
GPUS = [GpuState(number, f"GPU-{number}a5f-77", 70 * GB, 80 * GB, ()) for number in range(4)]


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        ("2,0", ["GPU-2a5f-77", "GPU-0a5f-77"]),
        ("GPU-3a5f-77, 1", ["GPU-3a5f-77", "GPU-1a5f-77"]),
        ("GPU-1a", ["GPU-1a5f-77"]),
        ("", []),
        ("-1", []),
        ("1,9,2", ["GPU-1a5f-77"]),
        ("GPU-", []),
    ],
)
def test_gpus_have_the_numbers_that_cuda_gives_to_the_visible_ones(visible: str, uuids: list[str]) -> None:
    found = visible_gpus(GPUS, {"CUDA_VISIBLE_DEVICES": visible})
    assert [(gpu.index, gpu.uuid) for gpu in found] == list(enumerate(uuids))


def test_without_a_choice_all_gpus_are_visible() -> None:
    assert visible_gpus(GPUS, {}) == GPUS


def test_who_computes_on_a_gpu_is_named_the_greatest_first_without_what_has_ended() -> None:
    gone = int(Path("/proc/sys/kernel/pid_max").read_text()) - 1
    gpu = GpuState(0, "GPU-0", GB, 80 * GB, (1, gone, os.getpid()), "NVIDIA A100", (GB, GB, 3 * GB))
    own, first = occupants(gpu)
    assert (own.pid, own.user, own.taken) == (os.getpid(), getpass.getuser(), 3 * GB) and own.program
    assert (first.pid, first.taken) == (1, GB)
