"""The loops that the engine is measured beside: they train, take turns, and stand when it is not theirs."""

import importlib.util

import pytest

from torchdeck.engine.bench.speed import SUBJECTS, bench_config, measure, ratios, summary
from torchdeck.engine.bench.speed_data import random_images
from torchdeck.engine.errors import ConfigError


def test_every_loop_takes_its_turn_and_is_compared_with_the_bare_one() -> None:
    rounds = measure("mlp", seconds=0.05, rounds=1, device="cpu")
    installed = {name for name in ("accelerate", "lightning") if importlib.util.find_spec(name)}
    assert rounds[0].keys() == {"bare", "headless", "quickstart"} | installed
    assert all(by_clock > 0 and by_cpu > 0 for by_clock, by_cpu in rounds[0].values())
    assert summary(rounds, "bare")["ratio"] == 1.0


def test_ratios_are_taken_within_a_round() -> None:
    rounds = [{"a": (10.0, 1.0), "b": (5.0, 2.0)}, {"a": (100.0, 1.0), "b": (25.0, 1.0)}]
    assert ratios(rounds, "a", "b", 0) == [2.0, 4.0]
    assert summary(rounds, "a", "b") == {"steps_per_s": 55.0, "ratio": 3.0, "cpu_ratio": 0.75}


def test_what_is_not_measured_is_refused_with_the_nearest_name() -> None:
    assert all(bench_config(subject).loader.batch_size == 64 for subject in SUBJECTS)
    with pytest.raises(ConfigError, match="did you mean 'resnet18'"):
        bench_config("resnet")


def test_the_images_are_the_same_every_time() -> None:
    first, again = (random_images(train=True, count=16, shape=[4, 4, 1], num_classes=4) for _ in range(2))
    assert (first[3][0] == again[3][0]).all()
    assert len(random_images(train=False, count=16, shape=[4, 4, 1], num_classes=4)) == 2
