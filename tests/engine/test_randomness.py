import random

import numpy as np
import pytest
import torch

from torchdeck.engine.data.random_keys import combine, epoch_order, sample_keys
from torchdeck.engine.randomness import generators_kept, mix, seed_cpu_generators, seed_everything, step_seed


def drawn() -> tuple[list[float], float, float]:
    return torch.rand(3).tolist(), random.random(), float(np.random.rand())


@pytest.mark.parametrize(
    ("coordinates", "seed"),
    [
        ((0, 0, 0), 1279368494785126216),
        ((1, 5, 0), 8922958882654339290),
        ((7, 123456, 3), 2021926747563813889),
        ((2**63, 1, 1), 7158572372998171994),
    ],
)
def test_a_step_has_the_seed_that_earlier_versions_gave_it(coordinates: tuple[int, int, int], seed: int) -> None:
    """A run resumed by another version of torchdeck draws the same numbers."""
    assert step_seed(*coordinates) == seed


def test_a_sample_has_the_keys_that_earlier_versions_gave_it() -> None:
    assert [mix(value) for value in (0, 1, 2**64 - 1)] == [0, 6238072747940578789, 13029008266876403067]
    assert [combine(0, 0), combine(3, 5), combine(1, 2, 0x5A)] == [
        3131917719906340714,
        2467831486976969978,
        18162304387456153158,
    ]
    keys = sample_keys(3, 2, torch.arange(3)).base
    assert keys.tolist() == [8084072303695252529, 5160894213245908059, -3085566411114044765]
    assert epoch_order(0, 1, 6).tolist() == [0, 5, 3, 4, 2, 1]


def test_generators_are_as_they_were_after_a_block_that_draws_or_seeds_or_fails() -> None:
    seed_everything(3)
    expected = [drawn() for _ in range(3)]
    seed_everything(3)
    assert drawn() == expected[0]
    with generators_kept(with_cuda=True):
        drawn()
        seed_cpu_generators(2**64 - 1)
    assert drawn() == expected[1]
    with pytest.raises(KeyError), generators_kept():
        drawn()
        raise KeyError
    assert drawn() == expected[2]
