"""What a run takes of its machine, sampled beside it."""

import os
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from torchdeck.engine.runs.on_disk.line_tail import LineTail
from torchdeck.engine.runs.system_sampler import Gpu, SystemSampler


def test_samples_are_appended_until_it_is_stopped(tmp_path: Path) -> None:
    sampler = SystemSampler(tmp_path, lambda: 40, every=0.01)
    sampler.start()
    tail = LineTail(tmp_path / "system.jsonl")
    deadline = time.monotonic() + 90
    samples: list[dict[str, Any]] = []
    while len(samples) < 2 and time.monotonic() < deadline:
        if tail.look():
            samples += tail.read()
    sampler.stop()
    assert samples[0]["memory"] > 1 << 20
    assert samples[0]["cpu"] >= 0
    assert samples[0]["gpu"] is None
    assert samples[0]["step"] == 40
    assert samples[0]["time"] == pytest.approx(time.time(), abs=60)


def test_what_the_workers_take_of_the_processor_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sampler = SystemSampler(tmp_path, lambda: 0)
    monkeypatch.setattr(sampler, "_process", FakeProcess())
    assert [sampler.sample()["cpu"] for _ in range(3)] == [0.0, 1.5, 1.5]


class FakeProcess:
    """One that takes half a core and has two workers that do the same, as psutil shows processes."""

    def __init__(self, number: int = 0) -> None:
        self.pid = os.getpid()
        self._number = number
        self._is_known = False

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakeProcess) and self._number == other._number

    def children(self, recursive: bool) -> list["FakeProcess"]:
        return [FakeProcess(1), FakeProcess(2)]

    def cpu_percent(self) -> float:
        was_known, self._is_known = self._is_known, True
        return 50.0 if was_known else 0.0

    def memory_info(self) -> Any:
        return SimpleNamespace(rss=1 << 20)


def test_one_that_never_started_can_be_stopped(tmp_path: Path) -> None:
    SystemSampler(tmp_path, lambda: 0).stop()
    assert os.listdir(tmp_path) == []


def test_a_machine_without_a_driver_knows_nothing_of_its_gpu() -> None:
    assert Gpu("12345678-0000-0000-0000-000000000000").sample() is None


class FakeNvml(ModuleType):
    """NVML with one GPU that doesn't tell its power."""

    NVML_TEMPERATURE_GPU = 0

    class NVMLError(Exception):
        pass

    class _Values:
        gpu, used, total = 50, 1e9, 4e9

    def nvmlInit(self) -> None:
        self.is_open = True

    def nvmlShutdown(self) -> None:
        self.is_open = False

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        assert uuid == "GPU-abc"
        return uuid

    def nvmlDeviceGetUtilizationRates(self, handle: str) -> Any:
        return self._Values

    def nvmlDeviceGetMemoryInfo(self, handle: str) -> Any:
        return self._Values

    def nvmlDeviceGetPowerUsage(self, handle: str) -> int:
        raise self.NVMLError("not supported")

    def nvmlDeviceGetTemperature(self, handle: str, sensor: int) -> int:
        return 61


def test_what_a_gpu_does_not_tell_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml("pynvml")
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gpu = Gpu("abc")
    assert gpu.sample() == {"utilisation": 0.5, "memory_used": 1e9, "memory_total": 4e9, "temperature": 61.0}
    gpu.close()
    assert not nvml.is_open
