"""The benchmark of several processes against one."""

import pytest
from campaign import is_full_campaign

from torchdeck.engine.bench.scaling import Scaling, measure_scaling
from torchdeck.engine.errors import ConfigError


@pytest.mark.campaign
@pytest.mark.parametrize("exact_shards", [0, 2] if is_full_campaign() else [0])
def test_one_and_two_processes_take_turns(exact_shards: int) -> None:
    one, two = measure_scaling("mlp", [2], seconds=0.3, rounds=1, device="cpu", exact_shards=exact_shards)
    assert (one.processes, one.times, two.processes) == (1, 1.0, 2)
    assert one.samples_per_s > 0
    assert one.exchange == 0 < two.exchange
    assert two.times == pytest.approx(two.samples_per_s / one.samples_per_s)


def test_efficiency_is_the_share_of_as_many_times_the_speed() -> None:
    assert Scaling(4, 1000.0, 3.0).efficiency == 0.75


def test_more_processes_than_gpus_and_unknown_networks_are_refused() -> None:
    with pytest.raises(ConfigError, match="4 processes need as many GPUs, and there are 2 to use"):
        measure_scaling("mlp", [4], seconds=0.1, rounds=1, devices=[0, 1])
    with pytest.raises(ConfigError, match="unknown benchmark"):
        measure_scaling("mpl", [2], seconds=0.1, rounds=1)
