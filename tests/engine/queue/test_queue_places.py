"""Places for runs: GPUs that are free for a while, and shares of the cores; each is taken once at a time."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from torchdeck.engine.detached.file_lock import is_locked, try_lock
from torchdeck.engine.detached.gpus import GpuState, chosen_gpus, gpu_environment
from torchdeck.engine.detached.slots import CpuSlots, GpuSlots
from torchdeck.engine.errors import ConfigError

GB = 1 << 30


@dataclass
class FakeGpus:
    """GPUs of a machine that has none."""

    states: list[GpuState] = field(
        default_factory=lambda: [GpuState(n, f"GPU-{n}", 70 * GB, 80 * GB, ()) for n in (0, 1)]
    )

    def look(self) -> list[GpuState]:
        return self.states

    def change(self, index: int, free: int, processes: tuple[int, ...] = ()) -> None:
        self.states[index] = GpuState(index, f"GPU-{index}", free, 80 * GB, processes)


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def slots_of(gpus: FakeGpus, clock: Clock, folder: Path) -> GpuSlots:
    return GpuSlots(gpus, ("GPU-0", "GPU-1"), clock=clock, folder=folder / "locks")


def test_a_gpu_is_taken_once_it_was_free_for_half_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    slots = slots_of(FakeGpus(), clock, tmp_path)
    assert slots.take(1, 20 * GB) == []
    clock.now += 29
    assert slots.take(1, 20 * GB) == []
    clock.now += 1
    (slot,) = slots.take(1, 20 * GB)
    assert (slot.name, slots.environment([slot])) == ("gpu 0", gpu_environment(["GPU-0"]))
    (other,) = slots.take(1, 20 * GB)
    assert other.name == "gpu 1"
    assert slots.take(1, 20 * GB) == []
    slot.lock.release()
    assert slots.take(1, 20 * GB) == [], "it counts anew"
    clock.now += 30
    assert [each.name for each in slots.take(1, 20 * GB)] == ["gpu 0"]


def test_a_foreign_process_or_too_little_memory_begins_the_wait_anew(tmp_path: Path) -> None:
    clock, gpus = Clock(), FakeGpus()
    slots = slots_of(gpus, clock, tmp_path)
    slots.take(1, 20 * GB)
    gpus.change(0, 70 * GB, processes=(4711,))
    gpus.change(1, 10 * GB)
    clock.now += 30
    assert slots.take(1, 20 * GB) == []
    gpus.change(0, 70 * GB)
    gpus.change(1, 70 * GB)
    assert slots.take(1, 20 * GB) == []
    clock.now += 29
    assert slots.take(1, 20 * GB) == []
    clock.now += 1
    assert [slot.name for slot in slots.take(1, 20 * GB)] == ["gpu 0"]


def test_a_gpu_that_another_user_has_locked_is_left_alone(tmp_path: Path) -> None:
    clock = Clock()
    slots = slots_of(FakeGpus(), clock, tmp_path)
    slots.take(1, 0)
    clock.now += 30
    other = try_lock(tmp_path / "locks" / "GPU-0.lock", shared_by_users=True)
    assert other is not None
    assert [slot.name for slot in slots.take(1, 0)] == ["gpu 1"]
    assert (tmp_path / "locks").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "locks" / "GPU-0.lock").stat().st_mode & 0o666 == 0o666


def test_a_run_gets_all_the_places_it_needs_or_none(tmp_path: Path) -> None:
    slots = CpuSlots(2, tmp_path)
    (one,) = slots.take(1, 0)
    assert slots.take(2, 0) == []
    assert not is_locked(tmp_path / "cpu-1.lock")
    one.lock.release()
    assert [slot.name for slot in slots.take(2, 0)] == ["cpu 0", "cpu 1"]


@pytest.mark.parametrize(("text", "numbers"), [("0", [0]), ("0-1", [0, 1]), ("1,0", [1, 0]), ("all", [0, 1])])
def test_gpus_are_chosen_by_numbers_and_ranges(text: str, numbers: list[int]) -> None:
    assert [state.index for state in chosen_gpus(FakeGpus().look(), text)] == numbers


@pytest.mark.parametrize(
    ("text", "expected"), [("2", "there is no GPU 2; this machine has: 0, 1"), ("a", "write numbers")]
)
def test_a_gpu_that_is_not_there_is_named(text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        chosen_gpus(FakeGpus().look(), text)
