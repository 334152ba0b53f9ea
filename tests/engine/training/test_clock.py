import time

import pytest

from torchdeck.engine.training.records.clock import TrainingClock


class Time:
    """Stands in for the machine's clock."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Time:
    clock = Time()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def test_it_stands_until_it_is_resumed_and_in_pauses(machine: Time) -> None:
    clock = TrainingClock()
    machine.now += 5
    assert clock.seconds() == 0
    clock.resume()
    machine.now += 3
    assert clock.seconds() == 3
    clock.pause()
    machine.now += 100
    assert clock.seconds() == 3
    clock.resume()
    machine.now += 2
    assert clock.seconds() == 5


def test_it_goes_on_from_an_earlier_life(machine: Time) -> None:
    clock = TrainingClock()
    clock.start_at(60.0)
    clock.resume()
    machine.now += 1
    assert clock.seconds() == 61
